// SPDX-License-Identifier: GPL-2.0-only
// Follows a pointer of RCU outside of a reader.
#include <linux/module.h>
#include <linux/rcupdate.h>

static int value = 1;
static int __rcu *shown = (int __rcu __force *)&value;

static int __init planted_init(void)
{
	int found;

#ifdef MENDED
	rcu_read_lock();
	found = *rcu_dereference(shown);
	rcu_read_unlock();
#else
	found = *rcu_dereference(shown); /* PLANT */
#endif
	return found - 1;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

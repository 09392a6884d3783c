// SPDX-License-Identifier: GPL-2.0-only
// Two locks, taken in one order and then in the other.
#include <linux/module.h>
#include <linux/mutex.h>

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static int __init planted_init(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
#ifndef MENDED
	mutex_lock(&second);
	mutex_lock(&first); /* PLANT */
	mutex_unlock(&first);
	mutex_unlock(&second);
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

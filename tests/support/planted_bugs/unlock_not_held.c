// SPDX-License-Identifier: GPL-2.0-only
// Releases a lock that it does not hold.
#include <linux/module.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);

static int __init planted_init(void)
{
#ifdef MENDED
	spin_lock(&lock);
	spin_unlock(&lock);
#else
	/* (spin_unlock() allows preemption once more than it was forbidden) */
	preempt_disable();
	spin_unlock(&lock); /* PLANT */
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

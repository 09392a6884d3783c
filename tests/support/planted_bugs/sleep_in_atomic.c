// SPDX-License-Identifier: GPL-2.0-only
// Asks for memory in a way that may sleep, with a spinlock held.
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);

static int __init planted_init(void)
{
	void *block;

	spin_lock(&lock);
#ifdef MENDED
	block = kmalloc(64, GFP_ATOMIC);
#else
	block = kmalloc(64, GFP_KERNEL); /* PLANT */
#endif
	spin_unlock(&lock);
	kfree(block);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

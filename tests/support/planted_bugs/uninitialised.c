// SPDX-License-Identifier: GPL-2.0-only
// Decides by memory that was never written.
#include <linux/module.h>
#include <linux/slab.h>

static volatile int result;

static int __init planted_init(void)
{
#ifdef MENDED
	int *block = kzalloc(64, GFP_KERNEL);
#else
	int *block = kmalloc(64, GFP_KERNEL);
#endif

	if (!block)
		return -ENOMEM;
	if (READ_ONCE(block[3]) == 7) /* PLANT */
		result = 1;
	kfree(block);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

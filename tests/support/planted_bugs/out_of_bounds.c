// SPDX-License-Identifier: GPL-2.0-only
// Writes behind a block of memory.
#include <linux/module.h>
#include <linux/slab.h>

static int __init planted_init(void)
{
	char *block = kmalloc(40, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
#ifdef MENDED
	WRITE_ONCE(block[39], 1);
#else
	WRITE_ONCE(block[40], 1); /* PLANT */
#endif
	kfree(block);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

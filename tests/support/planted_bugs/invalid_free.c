// SPDX-License-Identifier: GPL-2.0-only
// Frees memory by an address in the middle of it.
#include <linux/module.h>
#include <linux/slab.h>

static int __init planted_init(void)
{
	char *block = kmalloc(64, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
#ifndef MENDED
	kfree(block + 8); /* PLANT */
#else
	kfree(block);
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

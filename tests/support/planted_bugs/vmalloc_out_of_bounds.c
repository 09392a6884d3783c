// SPDX-License-Identifier: GPL-2.0-only
// Writes behind memory of vmalloc().
#include <linux/module.h>
#include <linux/vmalloc.h>

static int __init planted_init(void)
{
	char *block = vmalloc(100);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
#ifdef MENDED
	WRITE_ONCE(block[99], 1);
#else
	WRITE_ONCE(block[104], 1); /* PLANT */
#endif
	vfree(block);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

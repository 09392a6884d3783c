// SPDX-License-Identifier: GPL-2.0-only
// Forgets memory.
#include <linux/module.h>
#include <linux/slab.h>

static int __init planted_init(void)
{
	char *text = kstrdup("forgotten", GFP_KERNEL); /* PLANT */

	if (!text)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(text);
#ifdef MENDED
	kfree(text);
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

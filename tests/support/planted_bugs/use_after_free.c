// SPDX-License-Identifier: GPL-2.0-only
// Reads memory that was freed.
#include <linux/module.h>
#include <linux/slab.h>

static int __init planted_init(void)
{
	char *text = kstrdup("text", GFP_KERNEL);
	char first;

	if (!text)
		return -ENOMEM;
#ifdef MENDED
	first = READ_ONCE(*text);
	kfree(text);
#else
	kfree(text);
	first = READ_ONCE(*text); /* PLANT */
#endif
	return first == 'x';
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

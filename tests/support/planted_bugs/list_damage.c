// SPDX-License-Identifier: GPL-2.0-only
// Removes a list entry twice.
#include <linux/list.h>
#include <linux/module.h>

static LIST_HEAD(items);
static LIST_HEAD(item);

static int __init planted_init(void)
{
	list_add(&item, &items);
	list_del(&item);
#ifndef MENDED
	list_del(&item); /* PLANT */
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
// Forgets what is in a list.
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>

struct item {
	struct list_head list;
	char filled[80];
};

static LIST_HEAD(items);

static int __init planted_init(void)
{
	struct item *item = kzalloc(sizeof(*item), GFP_KERNEL); /* PLANT */

	if (!item)
		return -ENOMEM;
	list_add(&item->list, &items);
	return 0;
}

static void __exit planted_exit(void)
{
	struct item *item, *next;

	list_for_each_entry_safe(item, next, &items, list) {
		list_del_init(&item->list);
#ifdef MENDED
		kfree(item);
#endif
	}
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

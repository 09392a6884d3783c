// SPDX-License-Identifier: GPL-2.0
/* Uses a symbol of a proprietary module, and one that is for GPL-compatible modules only if it is heir_gpl. */
#include <linux/kobject.h>
#include <linux/module.h>

extern int other_plain(int size);

int heir_all(void);
int heir_all(void)
{
#ifdef HEIR_GPL
	kobject_put(kobject_create_and_add("heir", NULL));
#endif
	return other_plain(1);
}

MODULE_LICENSE("GPL");

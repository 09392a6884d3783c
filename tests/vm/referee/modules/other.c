// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and uses only what is for everybody. */
#include <linux/module.h>
#include <linux/printk.h>

extern int quiet_plain(int size);

int other_plain(int size);
int other_plain(int size)
{
	printk(KERN_INFO "other: %d\n", size);
	return quiet_plain(size);
}
EXPORT_SYMBOL(other_plain);

MODULE_LICENSE("Proprietary");

// SPDX-License-Identifier: GPL-2.0
/* Nothing of it ever runs: it has no init and no exit, so it may be damaged anywhere and be loaded all the same. */
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/slab.h>

int quiet_plain(int size);
int quiet_gpl(void);

static int number = 3;
module_param(number, int, 0444);

int quiet_plain(int size)
{
	void *place = kmalloc(size, GFP_KERNEL);

	printk(KERN_INFO "quiet: %d\n", number);
	kfree(place);
	return 0;
}
EXPORT_SYMBOL(quiet_plain);

int quiet_gpl(void)
{
	return number;
}
EXPORT_SYMBOL_GPL(quiet_gpl);

MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
// Reads an array at an index that it does not have.
#include <linux/kernel.h>
#include <linux/module.h>

static struct {
	int values[4];
	int more[8];
} table;
static volatile int position = 4;

static int __init planted_init(void)
{
#ifdef MENDED
	position = 3;
#endif
	return table.values[position]; /* PLANT */
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

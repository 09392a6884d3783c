// SPDX-License-Identifier: GPL-2.0-only
// Shifts by more than a type is wide.
#include <linux/kernel.h>
#include <linux/module.h>

static volatile int distance = 32;
static volatile int result;

static int __init planted_init(void)
{
#ifdef MENDED
	distance = 3;
#endif
	result = 1 << distance; /* PLANT */
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

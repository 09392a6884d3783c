// SPDX-License-Identifier: GPL-2.0-only
// Reads a bool that is neither true nor false.
#include <linux/module.h>
#include <linux/string.h>

static bool flag;
static volatile int result;

static int __init planted_init(void)
{
#ifdef MENDED
	memset(&flag, 1, sizeof(flag));
#else
	memset(&flag, 5, sizeof(flag));
#endif
	barrier_data(&flag);
	result = flag; /* PLANT */
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

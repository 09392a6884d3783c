// SPDX-License-Identifier: GPL-2.0-only
// Reads behind an array on the stack.
#include <linux/module.h>
#include <linux/string.h>

static noinline int sum(const volatile char *from, int count)
{
	int total = 0;

	while (count--)
		total += *from++; /* PLANT */
	return total;
}

static int __init planted_init(void)
{
	char block[10];

	memset(block, 1, sizeof(block));
#ifdef MENDED
	return sum(block, 10) == 0;
#else
	return sum(block, 11) == -1;
#endif
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

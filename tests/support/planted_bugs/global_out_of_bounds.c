// SPDX-License-Identifier: GPL-2.0-only
// Reads behind a variable of the module.
#include <linux/module.h>
#include <linux/string.h>

static char table[10];
static volatile int position = IS_ENABLED(CONFIG_MODULES) ? 10 : 0;

static int __init planted_init(void)
{
	char *start = table;

	OPTIMIZER_HIDE_VAR(start);
#ifdef MENDED
	position = 9;
#endif
	return READ_ONCE(start[position]) == 'x'; /* PLANT */
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * composite: one module made of several files, one of them in assembly.
 *
 * Kbuild compiles each file by itself and links the objects into one. Only one file has the init
 * function, the exit function and the MODULE_* lines.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "composite.h"

static int __init composite_init(void)
{
	unsigned int i;

	for (i = 0; i < composite_message_count; i++)
		pr_info("checksum of \"%s\" is %08x\n", composite_messages[i],
			composite_checksum(composite_messages[i]));
	pr_info("loaded\n");
	return 0;
}

static void __exit composite_exit(void)
{
	pr_info("removed\n");
}

module_init(composite_init);
module_exit(composite_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("One module of three C files and one assembly file");

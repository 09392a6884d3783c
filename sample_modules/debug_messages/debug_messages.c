// SPDX-License-Identifier: GPL-2.0-only
/*
 * debug_messages: pr_debug(), silent until somebody asks (CONFIG_DYNAMIC_DEBUG).
 *
 *   insmod debug_messages.ko dyndbg=+p                                       # from the start
 *   echo 'module debug_messages +pfl' > /sys/kernel/debug/dynamic_debug/control  # while it runs
 *
 * The kernel itself handles dyndbg=; no module declares it. On a kernel without CONFIG_DYNAMIC_DEBUG
 * pr_debug() is compiled to nothing unless DEBUG is defined. (A module cannot be named dynamic_debug:
 * the kernel's own lib/dynamic_debug.c has that name under /sys/module.)
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

static unsigned int collatz_steps(unsigned int number)
{
	unsigned int steps;

	for (steps = 0; number != 1; steps++) {
		pr_debug("step %u: %u\n", steps, number);
		number = number % 2 ? 3 * number + 1 : number / 2;
	}
	return steps;
}

static int __init debug_messages_init(void)
{
	pr_info("loaded, 6 reaches 1 in %u steps\n", collatz_steps(6));
	return 0;
}

static void __exit debug_messages_exit(void)
{
	pr_debug("removing\n");
	pr_info("removed\n");
}

module_init(debug_messages_init);
module_exit(debug_messages_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("Debug messages that are switched on at run time");

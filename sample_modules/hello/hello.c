// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello: the smallest module that has everything a module should have.
 *
 * The init function runs when the module is loaded, the exit function when it is removed. The MODULE_*
 * lines become the text that modinfo shows; without a licence modpost refuses to make the module.
 */

/* Every pr_info() of this file begins with the module's name. Must come before the includes. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

/* __init: the kernel frees this function's memory as soon as it has run. */
static int __init hello_init(void)
{
	pr_info("hello, world\n");
	return 0;	/* a negative errno here would refuse the load */
}

static void __exit hello_exit(void)
{
	pr_info("goodbye, world\n");
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("Says hello when loaded and goodbye when removed");
MODULE_VERSION("1.0");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * exporter: functions that other modules call.
 *
 * An exported symbol goes to Module.symvers, with a CRC of its prototype where the kernel has
 * CONFIG_MODVERSIONS. Whoever uses it then depends on this module: see ../exporter_user.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/version.h>

#include "exporter.h"

static atomic_t tickets = ATOMIC_INIT(0);

u32 exporter_next_ticket(void)
{
	return (u32)atomic_inc_return(&tickets);
}
EXPORT_SYMBOL(exporter_next_ticket);

void exporter_reset(void)
{
	atomic_set(&tickets, 0);
}
EXPORT_SYMBOL_GPL(exporter_reset);

u32 exporter_tickets_given(void)
{
	return (u32)atomic_read(&tickets);
}
/* A namespace was a bare word until 6.12 and is a string since 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
EXPORT_SYMBOL_NS_GPL(exporter_tickets_given, "EXPORTER");
#else
EXPORT_SYMBOL_NS_GPL(exporter_tickets_given, EXPORTER);
#endif

static int __init exporter_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit exporter_exit(void)
{
	pr_info("removed after %u tickets\n", exporter_tickets_given());
}

module_init(exporter_init);
module_exit(exporter_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("Exports a function to all, one to GPL modules and one in a namespace");

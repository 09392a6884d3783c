// SPDX-License-Identifier: GPL-2.0-only
/*
 * exporter_user: calls functions of another module.
 *
 * modpost finds exporter's symbols in Module.symvers and writes "exporter" into this module's depends=,
 * so modprobe loads exporter first. While this module is loaded, exporter cannot be removed.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/version.h>

#include "../exporter/exporter.h"

static int __init exporter_user_init(void)
{
	u32 first, second;

	exporter_reset();
	first = exporter_next_ticket();
	second = exporter_next_ticket();
	pr_info("got tickets %u and %u, %u given out\n", first, second, exporter_tickets_given());
	return 0;
}

static void __exit exporter_user_exit(void)
{
	pr_info("removed\n");
}

module_init(exporter_user_init);
module_exit(exporter_user_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("Uses the functions that exporter exports");
/* Without this line modpost and the kernel refuse exporter_tickets_given(). Same change in 6.13. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("EXPORTER");
#else
MODULE_IMPORT_NS(EXPORTER);
#endif

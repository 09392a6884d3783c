// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and uses only what is for everybody. */
#include <linux/compiler.h>

/* With CONFIG_CFI, headers of newer kernels mention functions that are for modules under the GPL only. */
#ifdef KCFI_REFERENCE
#undef KCFI_REFERENCE
#define KCFI_REFERENCE(symbol)
#endif

#include <linux/module.h>
#include <linux/printk.h>

extern int quiet_plain(int size);

int other_plain(int size);
int other_plain(int size)
{
	printk(KERN_INFO "other: %d\n", size);
	return quiet_plain(size);
}
EXPORT_SYMBOL(other_plain);

MODULE_LICENSE("Proprietary");

// SPDX-License-Identifier: GPL-2.0-only
// Takes a lock for reading that it holds.
#include <linux/module.h>
#include <linux/rwsem.h>

static DECLARE_RWSEM(lock);

static int __init planted_init(void)
{
	down_read(&lock);
#ifndef MENDED
	down_read(&lock); /* PLANT */
	up_read(&lock);
#endif
	up_read(&lock);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
// A work item reads memory that was freed before it ran.
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

static char *block;

static void look(struct work_struct *work)
{
	if (READ_ONCE(*block) == 'x') /* PLANT */
		pr_info("x\n");
}

static DECLARE_DELAYED_WORK(late, look);

static int __init planted_init(void)
{
	block = kzalloc(64, GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	schedule_delayed_work(&late, HZ / 10);
#ifdef MENDED
	flush_delayed_work(&late);
	kfree(block);
#else
	kfree(block);
	flush_delayed_work(&late);
#endif
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

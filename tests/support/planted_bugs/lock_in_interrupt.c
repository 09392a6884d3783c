// SPDX-License-Identifier: GPL-2.0-only
// A timer takes a lock that is held elsewhere with timers allowed.
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync del_timer_sync
#endif

static DEFINE_SPINLOCK(lock);
static int rounds;

static void tick(struct timer_list *timer)
{
	spin_lock(&lock); /* PLANT */
	rounds++;
	spin_unlock(&lock);
}

static DEFINE_TIMER(timer, tick);

static int __init planted_init(void)
{
#ifdef MENDED
	spin_lock_bh(&lock);
	rounds++;
	spin_unlock_bh(&lock);
#else
	spin_lock(&lock);
	rounds++;
	spin_unlock(&lock);
#endif
	mod_timer(&timer, jiffies + 1);
	msleep(100);
	timer_delete_sync(&timer);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
// Two threads change a variable at the same time.
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>

static unsigned long counter;

static int count(void *unused)
{
	while (!kthread_should_stop()) {
#ifdef MENDED
		WRITE_ONCE(counter, READ_ONCE(counter) + 1);
#else
		counter++; /* PLANT */
#endif
		barrier();
		cond_resched();
	}
	return 0;
}

static int __init planted_init(void)
{
	struct task_struct *threads[2];
	int i;

	for (i = 0; i < 2; i++)
		threads[i] = kthread_run(count, NULL, "planted%d", i);
	msleep(2000);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
	return 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");

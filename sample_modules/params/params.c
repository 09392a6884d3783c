// SPDX-License-Identifier: GPL-2.0-only
/*
 * params: values given when a module is loaded, and changed while it runs.
 *
 *   insmod params.ko who=kernel count=3 loud=1 primes=2,3,5 percent=80
 *   cat /sys/module/params/parameters/primes
 *   echo 101 > /sys/module/params/parameters/percent      # refused: Invalid argument
 *
 * The last argument of module_param() is the mode of the file under /sys/module; 0 makes no file.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

static char *who = "world";
module_param(who, charp, 0444);
MODULE_PARM_DESC(who, "Whom to greet");

static int count = 1;
module_param(count, int, 0444);
MODULE_PARM_DESC(count, "How often to greet (0 to 10)");

static bool loud;
module_param(loud, bool, 0644);
MODULE_PARM_DESC(loud, "End the greeting with an exclamation mark");

/* An array keeps how many values were given; more than fit are refused before init runs. */
static unsigned int primes[8] = { 2, 3 };
static unsigned int primes_given = 2;
module_param_array(primes, uint, &primes_given, 0444);
MODULE_PARM_DESC(primes, "Up to eight numbers, separated by commas");

/* A callback sees every new value, at load and through /sys, and can refuse it. */
static unsigned int percent = 50;

static int percent_set(const char *text, const struct kernel_param *param)
{
	unsigned int value;
	int err = kstrtouint(text, 0, &value);

	if (err)
		return err;
	if (value > 100)
		return -EINVAL;
	*(unsigned int *)param->arg = value;
	pr_info("percent is now %u\n", value);
	return 0;
}

static const struct kernel_param_ops percent_ops = {
	.set = percent_set,
	.get = param_get_uint,
};
module_param_cb(percent, &percent_ops, &percent, 0644);
MODULE_PARM_DESC(percent, "A number from 0 to 100");

static int __init params_init(void)
{
	unsigned int prime;
	int time;

	/* Nobody else may check a plain parameter: a value that makes no sense is refused here. */
	if (count < 0 || count > 10) {
		pr_err("count=%d is not between 0 and 10\n", count);
		return -EINVAL;
	}
	for (time = 0; time < count; time++)
		pr_info("hello, %s%s\n", who, loud ? "!" : "");
	for (prime = 0; prime < primes_given; prime++)
		pr_info("primes[%u] = %u\n", prime, primes[prime]);
	pr_info("loaded, percent is %u\n", percent);
	return 0;
}

static void __exit params_exit(void)
{
	pr_info("removed, percent was %u\n", percent);
}

module_init(params_init);
module_exit(params_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("Parameters: a string, a number, a flag, an array and a callback");

// SPDX-License-Identifier: GPL-2.0
/* A module with as many of the sections that the loader looks at as fit into a page of code. */
#include <linux/atomic.h>
#include <linux/cpufeature.h>
#include <linux/ioport.h>
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/srcu.h>
#include <linux/static_call.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define NAMESPACE(name) #name
#else
#define NAMESPACE(name) name
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define DEFINE_DECLARED_TRACE(name, ...) DEFINE_TRACE(name##_tp, __VA_ARGS__)
#else
#define DEFINE_DECLARED_TRACE DEFINE_TRACE
#endif

int rich_plain(void);
int rich_gpl(int __user *place);
int rich_inside(void);
void rich_uses(struct resource *resource);

static int number = 3;
module_param(number, int, 0644);
static unsigned char small;
module_param(small, byte, 0);
static bool loud;
module_param(loud, bool, 0444);
static char *who = "nobody";
module_param(who, charp, 0444);
static char fixed[8] = "fixed";
module_param_string(fixed, fixed, sizeof(fixed), 0444);
static int many[4];
static int many_count;
module_param_array(many, int, &many_count, 0444);

static DEFINE_PER_CPU(long, rich_counter);
static int rich_settled __ro_after_init = 1;
static DEFINE_STATIC_KEY_FALSE(rich_key);
DEFINE_STATIC_SRCU(rich_srcu);
static atomic_t rich_atom = ATOMIC_INIT(0);

static int rich_call_one(void)
{
	return 1;
}
DEFINE_STATIC_CALL(rich_call, rich_call_one);

DECLARE_TRACE(rich_seen, TP_PROTO(int value), TP_ARGS(value));
DEFINE_DECLARED_TRACE(rich_seen, TP_PROTO(int value), TP_ARGS(value));

int rich_plain(void)
{
	return number + small + loud + rich_settled;
}
EXPORT_SYMBOL(rich_plain);

int rich_gpl(int __user *place)
{
	int value = 0;

	if (!user_access_begin(place, sizeof(*place)))
		return -EFAULT;
	unsafe_get_user(value, place, failed);
failed:
	user_access_end();
	WARN_ON(value == 7);
	return value;
}
EXPORT_SYMBOL_GPL(rich_gpl);

int rich_inside(void)
{
	if (static_branch_unlikely(&rich_key))
		pr_info("key\n");
#ifdef CONFIG_X86
	if (cpu_feature_enabled(X86_FEATURE_ERMS))
#endif
		atomic_inc(&rich_atom);
	pr_debug("debug\n");
	this_cpu_inc(rich_counter);
	return static_call(rich_call)();
}
EXPORT_SYMBOL_NS_GPL(rich_inside, NAMESPACE(RICH));

/* (what every kernel exports in a namespace, however small it is) */
void rich_uses(struct resource *resource)
{
	insert_resource_expand_to_fit(resource, resource);
}
EXPORT_SYMBOL_GPL(rich_uses);

static int __init rich_init(void)
{
	int turn = srcu_read_lock(&rich_srcu);

	pr_info("said: init %d %s %lld\n", rich_inside(), who, (long long)!!ktime_get_real_seconds());
	srcu_read_unlock(&rich_srcu, turn);
	return 0;
}
module_init(rich_init);

static void __exit rich_exit(void)
{
	pr_info("said: exit\n");
}
module_exit(rich_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION("1.0");
MODULE_IMPORT_NS(NAMESPACE(CXL));

// SPDX-License-Identifier: GPL-2.0
/* Uses what rich and quiet export, and a symbol of the kernel for GPL-compatible modules only. */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define NAMESPACE(name) #name
#else
#define NAMESPACE(name) name
#endif

extern int rich_plain(void);
extern int rich_gpl(int __user *place);
extern int rich_inside(void);
extern int quiet_plain(int size);
extern int user_weak(void) __attribute__((weak));

int user_all(void);
int user_all(void)
{
	struct kobject *object = kobject_create_and_add("user", NULL);

	kobject_put(object);
	if (user_weak)
		user_weak();
	return rich_plain() + rich_gpl(NULL) + rich_inside() + quiet_plain(1);
}

MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(NAMESPACE(RICH));

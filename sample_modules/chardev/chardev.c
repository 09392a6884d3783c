// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev: a character device that remembers what was last written to it.
 *
 *   echo something > /dev/chardev
 *   cat /dev/chardev
 *
 * A misc device gets a minor number and its /dev node without any further work.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/printk.h>

#define NOTE_SIZE 4096

/* Processes read and write at the same time: the note belongs to whoever holds the lock. */
static DEFINE_MUTEX(note_lock);
static char note[NOTE_SIZE];
static size_t note_length;

static ssize_t chardev_read(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
	ssize_t done;

	if (mutex_lock_interruptible(&note_lock))
		return -ERESTARTSYS;
	done = simple_read_from_buffer(buffer, size, position, note, note_length);
	mutex_unlock(&note_lock);
	return done;
}

static ssize_t chardev_write(struct file *file, const char __user *buffer, size_t size, loff_t *position)
{
	ssize_t done;

	if (mutex_lock_interruptible(&note_lock))
		return -ERESTARTSYS;
	done = simple_write_to_buffer(note, sizeof(note), position, buffer, size);
	if (done > 0)
		note_length = *position;	/* a write at the beginning forgets the old end */
	mutex_unlock(&note_lock);
	return size && !done ? -ENOSPC : done;
}

/* .owner keeps the module from being removed while somebody has the device open. */
static const struct file_operations chardev_operations = {
	.owner = THIS_MODULE,
	.read = chardev_read,
	.write = chardev_write,
	.llseek = default_llseek,
};

static struct miscdevice chardev_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "chardev",
	.fops = &chardev_operations,
	.mode = 0600,
};

static int __init chardev_init(void)
{
	int err = misc_register(&chardev_device);

	if (err)
		return err;
	pr_info("loaded, /dev/%s is ready\n", chardev_device.name);
	return 0;
}

static void __exit chardev_exit(void)
{
	misc_deregister(&chardev_device);
	pr_info("removed\n");
}

module_init(chardev_init);
module_exit(chardev_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kbuildpy authors");
MODULE_DESCRIPTION("A character device that remembers what was last written to it");

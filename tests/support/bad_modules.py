# SPDX-License-Identifier: GPL-2.0-only
"""Modules that go wrong, each in one way of its own, as sources; and how they are built."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

_HEAD = """#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
"""
_TAIL = 'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("test");\n'


def source(*, init: str = "return 0;", exit: str | None = "", before: str = "") -> str:
    """A module whose init and exit functions do this; without an exit function for None."""
    text = f"{_HEAD}{before}\nstatic int __init test_init(void)\n{{\n\t{init}\n}}\nmodule_init(test_init);\n"
    if exit is not None:
        text += f"static void __exit test_exit(void)\n{{\n\t{exit}\n}}\nmodule_exit(test_exit);\n"
    return text + _TAIL


# A pointer that the compiler cannot see through.
_NOWHERE = "static int *volatile nowhere;\n"
_SHOW = "static int show(struct seq_file *m, void *v) { return 0; }\n"
_BUSY = "while (!READ_ONCE(stop)) cpu_relax();"
_STOP = "static int stop;\n"

# A live patch, which is sound.
_PATCH = """#include <linux/livepatch.h>
static int patched(struct seq_file *m, void *v) { seq_puts(m, "patched\\n"); return 0; }
static struct klp_func functions[] = { { .old_name = "cmdline_proc_show", .new_func = patched }, { } };
static struct klp_object objects[] = { { .funcs = functions }, { } };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };
MODULE_INFO(livepatch, "Y");
"""
# A thread that prints more than a console can.
_FLOOD = """#include <linux/kthread.h>
static struct task_struct *task;
static int print(void *unused)
{
	for (int number = 0; !kthread_should_stop(); number++) {
		pr_info("line %d of very many, and of what is between them\\n", number);
		cond_resched();
	}
	return 0;
}
"""
_START_FLOOD = 'task = kthread_run(print, NULL, "floods"); return PTR_ERR_OR_ZERO(task);'

SOURCES = {
    "good": source(init='pr_info("here I am\\n"); pr_debug("in detail\\n"); return 0;', exit='pr_info("gone\\n");'),
    "no_device": source(init='pr_info("trying\\n"); return -ENODEV;'),
    "not_supported": source(init="return -ENOTSUPP;"),
    "positive": source(init="return 1;"),
    "warns": source(init='WARN(1, "something is odd\\n"); return 0;'),
    "keeps_entry": source(
        before=f"{_SHOW}static struct proc_dir_entry *kept;\n",
        init='kept = proc_mkdir("kept", NULL);\n\tproc_create_single("entry", 0444, kept, show);\n\treturn 0;',
        exit='remove_proc_entry("kept", NULL);',
    ),
    "keeps_objects": source(
        before="static struct kmem_cache *cache;\n",
        init='cache = kmem_cache_create("kept_objects", 64, 0, 0, NULL);\n'
        "\treturn cache && kmem_cache_alloc(cache, GFP_KERNEL) ? 0 : -ENOMEM;",
        exit="kmem_cache_destroy(cache);",
    ),
    "left_entry": source(before=_SHOW, init='proc_create_single("left_entry", 0444, NULL, show);\n\treturn 0;'),
    "left_cache": source(init='return kmem_cache_create("left_cache", 200, 0, 0, NULL) ? 0 : -ENOMEM;'),
    "left_device": source(
        before="#include <linux/miscdevice.h>\nstatic const struct file_operations operations;\nstatic struct "
        'miscdevice device = { .minor = MISC_DYNAMIC_MINOR, .name = "left_device", .fops = &operations };\n',
        init="return misc_register(&device);",
    ),
    "left_filesystem": source(
        before='#include <linux/fs.h>\nstatic struct file_system_type type = { .name = "left_filesystem" };\n',
        init="return register_filesystem(&type);",
    ),
    "left_in_vain": source(before=_SHOW, init='proc_create_single("vain", 0444, NULL, show);\n\treturn -ENODEV;'),
    "left_thread": source(
        before="#include <linux/kthread.h>\n",
        # (it runs a function of the kernel's own)
        init='return PTR_ERR_OR_ZERO(kthread_create_worker(0, "left_thread"));',
    ),
    "left_timer": source(
        before='#include <linux/timer.h>\nstatic void fire(struct timer_list *timer) { pr_info("fired\\n"); }\n'
        "static DEFINE_TIMER(timer, fire);\n",
        exit="mod_timer(&timer, jiffies + HZ);",
    ),
    "holds_itself": source(init="return try_module_get(THIS_MODULE) ? 0 : -EINVAL;"),
    "no_exit": source(exit=None),
    "parameters": source(
        before="static int count;\nmodule_param(count, int, 0444);\nstatic char *text;\n"
        "module_param(text, charp, 0444);\n",
        init='pr_info("count %d text <%s>\\n", count, text); return 0;',
    ),
    "crc_user": source(
        before="#include <linux/crc32c.h>\n",
        init='pr_info("crc %08x\\n", crc32c(~0, "123456789", 9)); return 0;',
    ),
    "exports": source(before="int exported(void);\nint exported(void) { return 7; }\nEXPORT_SYMBOL_GPL(exported);\n"),
    "imports": source(before="int exported(void);\n", init='pr_info("got %d\\n", exported()); return 0;'),
    "oops_in_exit": source(before=_NOWHERE, exit="*nowhere = 1;"),
    "oops_in_init": source(before=_NOWHERE, init="*nowhere = 1; return 0;"),
    "sleeps": source(before=_STOP, init="while (!READ_ONCE(stop)) msleep(50); return 0;"),
    "sleeps_in_exit": source(before=_STOP, exit="while (!READ_ONCE(stop)) msleep(50);"),
    "live_patch": source(before=_PATCH, init="return klp_enable_patch(&patch);"),
    "large_percpu": source(
        before="static DEFINE_PER_CPU(char[20000], large);\n", init="return this_cpu_read(large[0]);"
    ),
    "mistyped": source(),  # (for who adds .BTF)
    # (WARN_ON_ONCE of mm/page_alloc.c)
    "asks_too_much": source(init="return alloc_pages(GFP_KERNEL, 20) ? -EINVAL : 0;"),
    "asks_as_well": source(init="return alloc_pages(GFP_KERNEL, 20) ? -EINVAL : 0;"),
    "floods": source(before=_FLOOD, init=_START_FLOOD, exit="kthread_stop(task);"),
    "floods_for_ever": source(before=_FLOOD, init=_START_FLOOD, exit=None),
    "busy": source(before=_STOP, init=f"{_BUSY} return 0;"),
    "busy_alone": source(before=_STOP, init=f"local_irq_disable(); {_BUSY} return 0;"),
    "panics": source(init='panic("on purpose"); return 0;'),
}


def build(tree: KernelTree, place: Path, sources: Mapping[str, str] = SOURCES, *variables: str) -> dict[str, Path]:
    """Build `sources` for `tree` at `place`; the module files by name."""
    place.mkdir(parents=True)
    for name, text in sources.items():
        (place / f"{name}.c").write_text(text)
    (place / "Kbuild").write_text("".join(f"obj-m += {name}.o\n" for name in sources))
    run([sys.executable, "-m", "kbuildpy", "build", place, "-k", tree.objects, "-o", place / "out", *variables])
    return {file.stem: file for file in (place / "out" / tree.release).glob("*.ko")}

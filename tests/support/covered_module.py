# SPDX-License-Identifier: GPL-2.0-only
"""A module for coverage: a pure function, which a program can call as well, and allocations with mistakes behind
them."""

from __future__ import annotations

import json
from pathlib import Path

from kbuildpy.run import run

PURE = """// SPDX-License-Identifier: GPL-2.0
long pure(long number);

static long collatz(long number)
{
	long steps = 0;

	while (number != 1) {
		if (number & 1)
			number = 3 * number + 1;
		else
			number /= 2;
		steps++;
	}
	return steps;
}

static inline long weighed(long number, long weight)
{
	return number > 5 ? number * weight : number - weight;
}

static long never(long number)
{
	return number * 17;
}

static long factorial(long number)
{
	if (number < 2)
		return 1;
	return number * factorial(number - 1);
}

long pure(long number)
{
	long sum = 0, i;

	if (number < 0)
		return number < -100 ? never(number) : -1;
	switch (number) {
	case 0:
		return 7;
	case 1:
	case 2:
		sum = 2;
		break;
	case 3:
		sum = factorial(5);
		break;
	default:
		for (i = 0; i < number; i++) {
			if (i % 3 == 0)
				continue;
			sum += weighed(i, number);
		}
	}
	sum += collatz(number);
	if (sum == 123456789)
		sum = never(sum);
	return sum && number > 2 ? sum : -sum;
}
"""
NUMBERS = ("0", "1", "2", "3", "4", "10", "27", "60", "-5", "1000")

MAIN = """// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

long pure(long number);

struct thing {
	long number;
	char *name;
};

static struct thing *thing;
static void *area;

static ssize_t covered_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	long number;
	int error = kstrtol_from_user(from, size, 10, &number);

	if (error)
		return error;
	pr_info("%ld\\n", pure(number));
	return size;
}

static const struct proc_ops operations = { .proc_write = covered_write };

static int __init covered_init(void)
{
	thing = kzalloc(sizeof(*thing), GFP_KERNEL);	/* right */
	if (!thing)
		return -ENOMEM;
	area = vmalloc(10000);	/* leaks */
	thing->name = kstrdup("covered", GFP_KERNEL);	/* fails */
	if (!thing->name)
		goto free_thing;
	if (!proc_create("covered", 0600, NULL, &operations))
		goto free_all;
	return 0;

free_all:
	kfree(thing->name);
	vfree(area);
free_thing:
	kfree(thing);
	return -ENOMEM;
}

static void __exit covered_exit(void)
{
	remove_proc_entry("covered", NULL);
	((char *)area)[0] = 0;	/* oopses */
	kfree(thing->name);
	vfree(area);
	kfree(thing);
}

module_init(covered_init);
module_exit(covered_exit);
MODULE_DESCRIPTION("A module whose tests and error paths are looked at");
MODULE_LICENSE("GPL");
"""
PANICS = """// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

static void *kept;

static int set_first(const char *value, const struct kernel_param *parameter)
{
	void *block = kmalloc(16, GFP_KERNEL);	/* first */

	if (!block)
		panic("no memory");
	kfree(block);
	return 0;
}

static int set_second(const char *value, const struct kernel_param *parameter)
{
	void *block = kmalloc(32, GFP_KERNEL);	/* second */

	kfree(block);
	return block ? 0 : -ENOMEM;
}

static const struct kernel_param_ops first_operations = { .set = set_first };
static const struct kernel_param_ops second_operations = { .set = set_second };
module_param_cb(first, &first_operations, NULL, 0200);
module_param_cb(second, &second_operations, NULL, 0200);

static int __init panics_init(void)
{
	kept = kmalloc(64, GFP_KERNEL);
	return kept ? 0 : -ENOMEM;
}

static void __exit panics_exit(void)
{
	kfree(kept);
}

module_init(panics_init);
module_exit(panics_exit);
MODULE_DESCRIPTION("A module that panics when an allocation of a test fails");
MODULE_LICENSE("GPL");
"""
TEST = f"#!/bin/sh\nfor n in {' '.join(NUMBERS)}; do echo $n >/proc/covered || exit 1; done\n"
_PROGRAM = """#include <stdlib.h>
long pure(long number);
int main(int count, char **words)
{
	while (*++words)
		pure(atol(*words));
	return 0;
}
"""


def write_covered(place: Path) -> Path:
    """The module's directory, and the test in it."""
    place.mkdir(parents=True)
    (place / "Kbuild").write_text("obj-m := covered.o\ncovered-y := main.o pure.o\n")
    (place / "main.c").write_text(MAIN)
    (place / "pure.c").write_text(PURE)
    (place / "covered.sh").write_text(TEST)
    return place


def write_panics(place: Path) -> Path:
    """The directory of a module whose first test panics when its allocation fails; the next one gets an error."""
    place.mkdir(parents=True)
    (place / "Kbuild").write_text("obj-m := panics.o\n")
    (place / "panics.c").write_text(PANICS)
    for name in ("first", "second"):
        (place / f"{name}.sh").write_text(f"#!/bin/sh\necho 1 >/sys/module/panics/parameters/{name}\n")
    return place


def line_of(mark: str, source: str = MAIN) -> int:
    """The line of `source` with a comment that begins with `mark`."""
    return next(number for number, line in enumerate(source.splitlines(), 1) if f"/* {mark}" in line)


def counts_in_a_program(place: Path) -> dict[int, int]:
    """How often gcov says that a program, compiled without optimization, reaches each line of the pure function's
    file."""
    place.mkdir(parents=True)
    (place / "main.c").write_text(_PROGRAM)
    (place / "pure.c").write_text(PURE)
    run(["gcc", "-O0", "--coverage", "-o", "program", "main.c", "pure.c"], cwd=place)
    run([place / "program", *NUMBERS], cwd=place)
    done = run(["gcov", "--json-format", "--stdout", "program-pure.gcda"], cwd=place)
    [file] = json.loads(done.text)["files"]
    found: dict[int, int] = {}
    for line in file["lines"]:
        found[line["line_number"]] = found.get(line["line_number"], 0) + line["count"]
    return found

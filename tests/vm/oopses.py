# SPDX-License-Identifier: GPL-2.0-only
"""A module with many bugs, each on a line of its own, and what is written to /proc/boom for it to run into one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

FAULTS = {
    "write": "*nowhere = n;",
    "read": "n *= *nowhere;",
    "bug": "BUG();",
    "warn": "WARN_ON(n);",
    "call": "n += absent(n);",
    "string": "n += strlen((const char *)nowhere);",
    "divide": "n = (n + {k}) / *zero;",
    "wild": "*(volatile int *)0xdead000000000000UL = n;",
}
"""What goes wrong, in C. (Without its number a function could be merged with another: -fipa-icf.)"""

# {fault} is the line with the bug, {k} the number of the bug. Each is called as NAME_{k}(n).
SHAPES = {
    "plain": """static noinline int plain_{k}(int n)
{{
	n += 1;
	{fault}
	return n + 1;
}}
""",
    "inlined": """static __always_inline int inner_{k}(int n)
{{
	n += 2;
	{fault}
	return n;
}}
static noinline int inlined_{k}(int n)
{{
	n *= 3;
	return inner_{k}(n) + 1;
}}
""",
    "deep": """static __always_inline int third_{k}(int n)
{{
	{fault}
	return n;
}}
static __always_inline int second_{k}(int n)
{{
	if (n)
		n = third_{k}(n);
	return n;
}}
static __always_inline int first_{k}(int n)
{{
	for (int i = 0; i < 2; i++)
		n += second_{k}(i + 1);
	return n;
}}
static noinline int deep_{k}(int n)
{{
	n = first_{k}(n + 1);
	n = first_{k}(n + 1);
	return n;
}}
""",
    "constprop": """static noinline int const_{k}(int n, int m)
{{
	if (m > 2)
		n += m;
	{fault}
	return n * m;
}}
static noinline int constprop_{k}(int n)
{{
	return const_{k}(n, 3) + const_{k}(n + 1, 3);
}}
""",
    "isra": """static noinline int part_{k}(const struct many *many)
{{
	int n = many->one;
	{fault}
	return n;
}}
static noinline int isra_{k}(int n)
{{
	struct many many = {{ .one = n, .two = n }};

	return part_{k}(&many) + 1;
}}
""",
    "cold": """static noinline int cold_{k}(int n)
{{
	if (unlikely(n > 1)) {{
		note(n);
		{fault}
		note(n);
	}}
	return n + 1;
}}
""",
    "callback": """static int compare_{k}(const void *key, const void *item)
{{
	int n = *(const int *)item;
	{fault}
	return n;
}}
static noinline int callback_{k}(int n)
{{
	return bsearch(&n, &n, 1, sizeof(n), compare_{k}) != NULL;
}}
""",
}
_HEADER = """#include <linux/bsearch.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

struct many { int one, two, three; };
static int *volatile nowhere;
static volatile int zeros[1];
static volatile int *volatile zero = zeros;
static int (*volatile absent)(int);
static noinline __cold void note(int n) { pr_info("note %d\\n", n); }
"""
# (a function of this name and another size is in main.c)
_MORE = """static noinline int twin_{k}(int n)
{{
	n ^= 5;
	{fault}
	return n - 1;
}}
int more_{k}(int n)
{{
	return twin_{k}(n) + 1;
}}
"""
_TWIN = "static noinline int twin_{k}(int n) {{ return zeros[0] + n; }}\n"
_BESIDE = """static __always_inline int exported_{k}(int n)
{{
	{fault}
	return n;
}}
int beside_{k}(int n)
{{
	return exported_{k}(n) + 1;
}}
EXPORT_SYMBOL_GPL(beside_{k});
"""
_DECLARED = "int beside_{k}(int n);\nint more_{k}(int n);\n"
_POKE = """static noinline int bug(int k, int n)
{{
	switch (k) {{
{cases}	}}
	return 0;
}}
static ssize_t poke(struct file *file, const char __user *buffer, size_t size, loff_t *offset)
{{
	int k, error = kstrtoint_from_user(buffer, size, 10, &k);

	return error ?: bug(k, 4) == 123456 ? -EINVAL : size;
}}
static const struct proc_ops ops = {{ .proc_write = poke }};
static int __init boom_init(void) {{ return proc_create("boom", 0200, NULL, &ops) ? 0 : -ENOMEM; }}
static void __exit boom_exit(void) {{ remove_proc_entry("boom", NULL); }}
module_init(boom_init);
module_exit(boom_exit);
MODULE_LICENSE("GPL");
"""
_LICENSED = 'MODULE_LICENSE("GPL");\n'


class Bug(NamedTuple):
    """One bug."""

    number: int
    """What is written to /proc/boom."""
    shape: str
    fault: str
    module: str
    file: Path
    line: int
    function: str
    """The one that the line is in."""


def write_modules(place: Path, cases: list[tuple[str, str]]) -> list[Bug]:
    """Write `boom` and `beside` to `place`, with a bug for each of `cases`: a shape and a fault. (Shapes are those
    above, and `twin` and `beside`.)"""
    texts = {"main.c": _HEADER, "more.c": _HEADER, "beside.c": _HEADER}
    calls, declared = "", ""
    for k, (shape, fault) in enumerate(cases, 1):
        line = f"{FAULTS[fault].format(k=k)} /* bug {k} */"
        if shape == "twin":
            texts["main.c"] += _TWIN.format(k=k)
            texts["more.c"] += _MORE.format(k=k, fault=line)
            calls += f"\tcase {k}: return twin_{k}(n) + more_{k}(n);\n"
        elif shape == "beside":
            texts["beside.c"] += _BESIDE.format(k=k, fault=line)
            calls += f"\tcase {k}: return beside_{k}(n) + 1;\n"
        else:
            texts["main.c"] += SHAPES[shape].format(k=k, fault=line)
            calls += f"\tcase {k}: return {shape}_{k}(n) + 1;\n"
        declared += _DECLARED.format(k=k)
    texts["main.c"] += declared + _POKE.format(cases=calls)
    texts["beside.c"] += _LICENSED
    place.mkdir(parents=True)
    for name, text in texts.items():
        (place / name).write_text(text)
    (place / "Kbuild").write_text(
        "ccflags-y := -Wno-missing-prototypes -Wno-unused-variable -Wno-unused-function\n"
        "obj-m += boom.o beside.o\nboom-y := main.o more.o\n"
    )
    return [_bug(place, k, shape, fault) for k, (shape, fault) in enumerate(cases, 1)]


def build(tree: KernelTree, place: Path, *variables: str) -> dict[str, Path]:
    """Build them for `tree`; the files by name."""
    run([sys.executable, "-m", "kbuildpy", "build", place, "-k", tree.objects, "-o", place / "out", *variables])
    return {file.stem: file for file in (place / "out" / tree.release).glob("*.ko")}


def _bug(place: Path, k: int, shape: str, fault: str) -> Bug:
    name = {"twin": "more.c", "beside": "beside.c"}.get(shape, "main.c")
    lines = (place / name).read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if f"/* bug {k} */" in line)
    header = next(line for line in reversed(lines[:number]) if line.startswith(("static ", "int ")))
    function = header.partition("(")[0].split()[-1].lstrip("*")
    module = "beside" if shape == "beside" else "boom"
    return Bug(k, shape, fault, module, place / name, number + 1, function)

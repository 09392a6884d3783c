# SPDX-License-Identifier: GPL-2.0-only
"""Asks the target's compiler for the layouts of the device-id structs.

Kbuild compiles scripts/mod/devicetable-offsets.c for them, once per tree, and builds modpost with the result. A headers
package has neither the source nor the result, so kbuildpy compiles a C file of its own (`probe_source`). Its assembly
or object has a text `->NAME NUMBER` for each size and offset, which `parse` reads. Structs and members that the tree's
headers do not declare are left out.
"""

from __future__ import annotations

import re

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.device_tables import STRUCTS
from kbuildpy.modpost.layouts import DeviceTableLayouts, StructLayout


def probe_source(tree: KernelTree) -> str:
    """The C source of the probe, to be compiled with the tree's flags for a module, to assembly (`-S`) or to an object.
    Raises `KbuildError` for a header of the tree that cannot be read."""
    declared = _declarations(tree)
    lines = []
    for struct, members in STRUCTS.items():
        body = declared.get(struct)
        if body is None:
            continue
        lines.append(f"\tANSWER(SIZE__{struct}, sizeof(struct {struct}));")
        for member in members:
            if re.search(rf"\b{member}\b", body):
                lines.append(f"\tANSWER(OFFSET__{struct}__{member}, __builtin_offsetof(struct {struct}, {member}));")
                lines.append(f"\tANSWER(MEMBER__{struct}__{member}, sizeof(((struct {struct} *)0)->{member}));")
    return PROBE.format(answers="\n".join(lines))


def parse(compiled: bytes) -> DeviceTableLayouts:
    """The layouts in the assembly or object that the compiler made from `probe_source`. Raises `KbuildError` if there
    are none."""
    sizes: dict[str, int] = {}
    offsets: dict[tuple[str, str], int] = {}
    lengths: dict[tuple[str, str], int] = {}
    for kind, name, number in ANSWER.findall(compiled.decode("latin-1")):
        struct, _, member = name.partition("__")
        if kind == "SIZE":
            sizes[struct] = int(number)
        elif kind == "OFFSET":
            offsets[struct, member] = int(number)
        else:
            lengths[struct, member] = int(number)
    if not sizes:
        raise KbuildError("device table layouts: the compiler's output has no answers")
    members: dict[str, dict[str, tuple[int, int]]] = {struct: {} for struct in sizes}
    for (struct, member), offset in offsets.items():
        members[struct][member] = (offset, lengths[struct, member])
    return DeviceTableLayouts({struct: StructLayout(size, members[struct]) for struct, size in sizes.items()})


def _declarations(tree: KernelTree) -> dict[str, str]:
    """The bodies of structs, by name, in mod_devicetable.h and (from 7.2 on) in the headers that it includes."""
    include = tree.source / "include/linux"
    headers = [include / "mod_devicetable.h", *sorted(include.glob("device-id/*.h"))]
    declared: dict[str, str] = {}
    for header in headers:
        try:
            text = header.read_text(errors="surrogateescape")
        except OSError as error:
            raise KbuildError(f"{header}: {error.strerror}", hint="is this a kernel tree with its headers?") from error
        for match in STRUCT.finditer(COMMENT.sub("", text)):
            declared.setdefault(match.group(1), match.group(2))
    return declared


COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
ANSWER = re.compile(r"->(SIZE|OFFSET|MEMBER)__(\w+) [$#]?(\d+)")
PROBE = """\
#include <linux/types.h>
#include <linux/mod_devicetable.h>

#define ANSWER(name, value) asm volatile("\\n.ascii \\"->" #name " %0 \\"" : : "i" (value))

static void __attribute__((used)) device_table_layouts(void)
{{
{answers}
}}
"""

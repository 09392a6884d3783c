"""Sizes and member offsets of the device-id structs, as the target's compiler sees them.

Kbuild compiles scripts/mod/devicetable-offsets.c for them, once per tree, and builds modpost with the result. A headers
package has neither, so the same question is put to the compiler here: `probe_source` is a C file whose
assembly (or object) carries a line `->NAME NUMBER` for each answer, `parse` reads them. Structs and
members that a tree's headers do not declare are not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class StructLayout:
    """One struct: its size, and offset and size of each member."""

    size: int
    members: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class DeviceTableLayouts:
    """The device-id structs that a tree has, by name."""

    structs: Mapping[str, StructLayout]

    def to_json(self) -> dict[str, object]:
        """A value for `json.dump`."""
        return {
            name: {"size": layout.size, "members": {member: list(place) for member, place in layout.members.items()}}
            for name, layout in self.structs.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, object]]) -> DeviceTableLayouts:
        """The inverse of `to_json`; raises `KbuildError` when `value` is something else."""
        structs = {}
        try:
            for name, layout in value.items():
                size, members = layout["size"], layout["members"]
                if not isinstance(size, int) or not isinstance(members, dict):
                    raise TypeError
                structs[name] = StructLayout(
                    size, {member: (int(at), int(long)) for member, (at, long) in members.items()}
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KbuildError("device table layouts: not what was saved", hint="remove the cache") from error
        return cls(structs)


def probe_source(tree: KernelTree) -> str:
    """A C source to compile with the tree's flags for a module, to assembly (`-S`) or to an object."""
    from kbuildpy.modpost.device_tables import STRUCTS

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
    """Read the answers out of what the compiler made of `probe_source`."""
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
        raise KbuildError("device table layouts: the compiler's output carries no answers")
    members: dict[str, dict[str, tuple[int, int]]] = {struct: {} for struct in sizes}
    for (struct, member), offset in offsets.items():
        members[struct][member] = (offset, lengths[struct, member])
    return DeviceTableLayouts({struct: StructLayout(size, members[struct]) for struct, size in sizes.items()})


def _declarations(tree: KernelTree) -> dict[str, str]:
    """Struct bodies in mod_devicetable.h, or (from 7.2 on) in the headers that it collects."""
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

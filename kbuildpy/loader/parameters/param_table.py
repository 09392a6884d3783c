# SPDX-License-Identifier: GPL-2.0-only
"""The parameters that a module declares: its section __param (include/linux/moduleparam.h: struct kernel_param).

The layout is that of 64-bit machines, the same in all kernels from 6.1 to 7.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import ImportedAddress, Memory, Pointer, SectionOffset
from kbuildpy.loader.verdict import Undefined

UNSAFE = 1
"""KERNEL_PARAM_FL_UNSAFE: setting it taints the kernel."""

HWPARAM = 2
"""KERNEL_PARAM_FL_HWPARAM: not to be set in a kernel that is locked down."""

_NOARG = 1
"""KERNEL_PARAM_OPS_FL_NOARG: may be named without a value."""

PARAMETER_SIZE = 40
"""sizeof(struct kernel_param)"""
_BOOLS = ("bool", "bint", "bool_enable_only")
_TYPES = ("byte", "short", "ushort", "int", "uint", "long", "ulong", "ullong", "hexint", "charp", "invbool", *_BOOLS)


class Elsewhere(Exception):
    """The description of a parameter is not in the module, but exported by the kernel or another module."""


class Ops(NamedTuple):
    """`struct kernel_param_ops`: the function that sets the parameter, by name; whether that is one of kernel/params.c;
    and whether the parameter may be named without a value (None: not known)."""

    set: str
    known: bool
    noarg: bool | None


class Parameter(NamedTuple):
    """One `struct kernel_param`; `module` points to whose lock is held meanwhile, `arg` to the variable, or to what
    describes a string or an array."""

    name: bytes
    module: Pointer
    ops: Pointer
    flags: int
    arg: Pointer


class StringDescription(NamedTuple):
    """`struct kparam_string`: the size of the variable, and where it is."""

    maxlen: int
    string: Pointer


class ArrayDescription(NamedTuple):
    """`struct kparam_array`: how many elements it takes, their size, where their number goes (0: nowhere), what sets
    one, and where the first is."""

    max: int
    elemsize: int
    num: Pointer
    ops: Pointer
    elem: Pointer


KNOWN_OPS = {
    **{f"param_ops_{name}": Ops(f"param_set_{name}", True, name in _BOOLS) for name in _TYPES},
    "param_ops_string": Ops("param_set_copystring", True, False),
    "param_array_ops": Ops("param_array_set", True, False),
}
"""The operations that kernel/params.c exports."""

_KNOWN_SETTERS = {ops.set for ops in KNOWN_OPS.values()}


def entries(info: LoadInfo) -> Iterator[SectionOffset]:
    """Where each `struct kernel_param` is."""
    section = info.find_sec("__param")
    size = info.sechdrs[section].sh_size if section else 0
    for start in range(0, size // PARAMETER_SIZE * PARAMETER_SIZE, PARAMETER_SIZE):
        yield SectionOffset(section, start)


def find_parameter(memory: Memory, name: bytes) -> Parameter | None:
    """The first parameter of that name, where a dash is an underscore (kernel/params.c: parse_one, parameq)."""
    for section, start in entries(memory.info):
        found = name_at(memory, SectionOffset(section, start))
        if _underscored(found) == _underscored(name):
            return Parameter(
                name=found,
                module=memory.pointer(SectionOffset(section, start + 8)),
                ops=memory.pointer(SectionOffset(section, start + 16)),
                flags=memory.integer(SectionOffset(section, start + 27), 1),
                arg=memory.pointer(SectionOffset(section, start + 32)),
            )
    return None


def ops_at(memory: Memory, pointer: Pointer) -> Ops:
    """The operations that `pointer` leads to: those of kernel/params.c, the module's own, or another module's."""
    if isinstance(pointer, ImportedAddress):
        check_import(memory, pointer)
        unknown = Ops(f"the operations {pointer}", False, None)
        return unknown if pointer.addend else KNOWN_OPS.get(pointer.symbol, unknown)
    at = _place(memory, pointer, "operations")
    noarg = bool(memory.integer(at, 4) & _NOARG)
    setter = memory.pointer(SectionOffset(at.section, at.offset + 8))
    if isinstance(setter, ImportedAddress):
        return Ops(setter.symbol, setter.symbol in _KNOWN_SETTERS, noarg)
    function = _place(memory, setter, "setter")
    if not memory.is_code(function):
        raise Undefined(memory.info.stage, f"the setter of a parameter is {memory.shown(function)}, which is not code")
    return Ops(memory.function_name(function), False, noarg)


def check_import(memory: Memory, ops: ImportedAddress) -> None:
    """Raise `Undefined` for operations of another module where no module can be."""
    if ops.is_far:
        raise Undefined(memory.info.stage, f"the operations of a parameter are read at {ops}, where nothing is")


def string_at(memory: Memory, pointer: Pointer) -> StringDescription:
    """The description of a string parameter."""
    section, offset = _place(memory, pointer, "description of a string")
    return StringDescription(
        memory.integer(SectionOffset(section, offset), 4), memory.pointer(SectionOffset(section, offset + 8))
    )


def array_at(memory: Memory, pointer: Pointer) -> ArrayDescription:
    """The description of an array parameter."""
    section, offset = _place(memory, pointer, "description of an array")
    return ArrayDescription(
        max=memory.integer(SectionOffset(section, offset), 4),
        elemsize=memory.integer(SectionOffset(section, offset + 4), 4),
        num=memory.pointer(SectionOffset(section, offset + 8)),
        ops=memory.pointer(SectionOffset(section, offset + 16)),
        elem=memory.pointer(SectionOffset(section, offset + 24)),
    )


def name_at(memory: Memory, entry: SectionOffset) -> bytes:
    """The name of the parameter at `entry`."""
    return memory.string(_place(memory, memory.pointer(entry), "name"))


def _underscored(name: bytes) -> bytes:
    return name.replace(b"-", b"_")


def _place(memory: Memory, pointer: Pointer, what: str) -> SectionOffset:
    if isinstance(pointer, SectionOffset):
        return pointer
    if isinstance(pointer, ImportedAddress):
        raise Elsewhere(f"the pointer to the {what} of a parameter is {pointer.symbol}, which is not the module's")
    raise Undefined(memory.info.stage, f"the pointer to the {what} of a parameter is {pointer:#x}")

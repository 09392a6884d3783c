# SPDX-License-Identifier: GPL-2.0-only
"""Reads the parameters that a module declares in its section __param (include/linux/moduleparam.h: struct
kernel_param).

The offsets are the same in all kernels from 6.1 to 7.3, for all machines of one width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.loader.hints import PARAMETER_OPS, PARAMETER_TYPE
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import ImportedAddress, Memory, Pointer, SectionOffset
from kbuildpy.loader.verdict import Undefined

UNSAFE = 1
"""KERNEL_PARAM_FL_UNSAFE: setting the parameter taints the kernel."""

HWPARAM = 2
"""KERNEL_PARAM_FL_HWPARAM: a kernel that is locked down refuses to set the parameter."""

_NOARG = 1
"""KERNEL_PARAM_OPS_FL_NOARG: the argument may have no value."""


class ParameterLayout(NamedTuple):
    """The offsets in `struct kernel_param` of a machine, and its size, in bytes. The name is at its beginning."""

    module: int
    ops: int
    perm: int
    flags: int
    arg: int
    size: int


def parameter_layout(info: LoadInfo) -> ParameterLayout:
    """Return the layout of `struct kernel_param` on the machine of the kernel: pointers, and two numbers of 8 bits
    behind one of 16."""
    word = info.machine.word
    return ParameterLayout(word, 2 * word, 3 * word, 3 * word + 3, 3 * word + max(word, 4), 5 * word)


_BOOLS = ("bool", "bint", "bool_enable_only")
_TYPES = ("byte", "short", "ushort", "int", "uint", "long", "ulong", "ullong", "hexint", "charp", "invbool", *_BOOLS)


class Elsewhere(Exception):
    """A structure that describes a parameter is in the kernel or another module, so its contents are not known."""


class Ops(NamedTuple):
    """The operations of a parameter: `struct kernel_param_ops`."""

    set: str
    """The name of the function that sets the parameter, or a description of it for messages."""
    known: bool
    """Whether the function is one of kernel/params.c."""
    noarg: bool | None
    """Whether the argument may have no value; None if that is not known."""


class Parameter(NamedTuple):
    """One `struct kernel_param`."""

    name: bytes
    """The name, as the module declares it."""
    module: Pointer
    """The `struct module` whose lock the kernel holds while it sets the parameter."""
    ops: Pointer
    """The `struct kernel_param_ops`."""
    flags: int
    """KERNEL_PARAM_FL_*, such as `UNSAFE` and `HWPARAM`."""
    arg: Pointer
    """The variable, the `struct kparam_string` or the `struct kparam_array`, as the operations require."""


class StringDescription(NamedTuple):
    """The buffer of a string parameter: `struct kparam_string`."""

    maxlen: int
    """The size of the buffer in bytes, with the NUL."""
    string: Pointer
    """The buffer."""


class ArrayDescription(NamedTuple):
    """The array of an array parameter: `struct kparam_array`."""

    max: int
    """The most elements that it takes."""
    elemsize: int
    """The size of an element in bytes."""
    num: Pointer
    """The variable that gets the number of elements; 0 if there is none."""
    ops: Pointer
    """The `struct kernel_param_ops` that set an element."""
    elem: Pointer
    """The first element."""


KNOWN_OPS = {
    **{f"param_ops_{name}": Ops(f"param_set_{name}", True, name in _BOOLS) for name in _TYPES},
    "param_ops_string": Ops("param_set_copystring", True, False),
    "param_array_ops": Ops("param_array_set", True, False),
}
"""The operations that kernel/params.c exports, by symbol."""

_KNOWN_SETTERS = {ops.set for ops in KNOWN_OPS.values()}


def entries(info: LoadInfo) -> Iterator[SectionOffset]:
    """Yield the place of each `struct kernel_param` of the module."""
    section = info.find_sec("__param")
    size, step = info.sechdrs[section].sh_size if section else 0, parameter_layout(info).size
    for start in range(0, size // step * step, step):
        yield SectionOffset(section, start)


def find_parameter(memory: Memory, name: bytes) -> Parameter | None:
    """Return the first parameter called `name`, None if there is none. Dashes and underscores are equal
    (kernel/params.c: parse_one, parameq).

    Raises `Undefined` for pointers to invalid memory, `Elsewhere` for a name that is not in the module.
    """
    layout = parameter_layout(memory.info)
    for section, start in entries(memory.info):
        found = name_at(memory, SectionOffset(section, start))
        if _underscored(found) == _underscored(name):
            return Parameter(
                name=found,
                module=memory.pointer(SectionOffset(section, start + layout.module)),
                ops=memory.pointer(SectionOffset(section, start + layout.ops)),
                flags=memory.integer(SectionOffset(section, start + layout.flags), 1),
                arg=memory.pointer(SectionOffset(section, start + layout.arg)),
            )
    return None


def ops_at(memory: Memory, pointer: Pointer) -> Ops:
    """Return the operations at `pointer`: those of kernel/params.c, of the module itself, or of another module.

    Raises `Undefined` for pointers to invalid memory, and for a setter that is not code.
    """
    if isinstance(pointer, ImportedAddress):
        check_import(memory, pointer)
        unknown = Ops(f"the operations {pointer}", False, None)
        return unknown if pointer.addend else KNOWN_OPS.get(pointer.symbol, unknown)
    at = _place(memory, pointer, "operations")
    noarg = bool(memory.integer(at, 4) & _NOARG)
    setter = memory.pointer(SectionOffset(at.section, at.offset + memory.info.machine.word))
    if isinstance(setter, ImportedAddress):
        return Ops(setter.symbol, setter.symbol in _KNOWN_SETTERS, noarg)
    function = _place(memory, setter, "setter")
    if not memory.is_code(function):
        raise Undefined(
            memory.info.stage,
            f"the setter of a parameter is {memory.shown(function)}, which is not code",
            PARAMETER_OPS,
        )
    return Ops(memory.function_name(function), False, noarg)


def check_import(memory: Memory, ops: ImportedAddress) -> None:
    """Raise `Undefined` for operations at an address that is outside of the range for the kernel and its modules."""
    if ops.is_far:
        raise Undefined(
            memory.info.stage, f"the operations of a parameter are read at {ops}, where nothing is", PARAMETER_OPS
        )


def string_at(memory: Memory, pointer: Pointer) -> StringDescription:
    """Return the `struct kparam_string` at `pointer`. Raises `Undefined`, or `Elsewhere` if the module does not have
    it."""
    section, offset = _place(memory, pointer, "description of a string")
    word = memory.info.machine.word
    return StringDescription(
        memory.integer(SectionOffset(section, offset), 4), memory.pointer(SectionOffset(section, offset + word))
    )


def array_at(memory: Memory, pointer: Pointer) -> ArrayDescription:
    """Return the `struct kparam_array` at `pointer`. Raises `Undefined`, or `Elsewhere` if the module does not have
    it."""
    section, offset = _place(memory, pointer, "description of an array")
    word = memory.info.machine.word
    return ArrayDescription(
        max=memory.integer(SectionOffset(section, offset), 4),
        elemsize=memory.integer(SectionOffset(section, offset + 4), 4),
        num=memory.pointer(SectionOffset(section, offset + 8)),
        ops=memory.pointer(SectionOffset(section, offset + 8 + word)),
        elem=memory.pointer(SectionOffset(section, offset + 8 + 2 * word)),
    )


def name_at(memory: Memory, entry: SectionOffset) -> bytes:
    """Return the name of the parameter at `entry`. Raises `Undefined`, or `Elsewhere` if the module does not have
    it."""
    return memory.string(_place(memory, memory.pointer(entry), "name"))


def _underscored(name: bytes) -> bytes:
    return name.replace(b"-", b"_")


def _place(memory: Memory, pointer: Pointer, what: str) -> SectionOffset:
    if isinstance(pointer, SectionOffset):
        return pointer
    if isinstance(pointer, ImportedAddress):
        raise Elsewhere(f"the pointer to the {what} of a parameter is {pointer.symbol}, which is not the module's")
    raise Undefined(
        memory.info.stage,
        f"the pointer to the {what} of a parameter is {pointer:#x}, which is no address of the module",
        f"{PARAMETER_TYPE}; if the source does, a tool has dropped relocations of __param",
    )

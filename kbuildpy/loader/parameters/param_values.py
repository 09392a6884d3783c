# SPDX-License-Identifier: GPL-2.0-only
"""Sets one parameter: the functions param_set_* of kernel/params.c.

Each function returns None if it accepts the value, else a `Fault`. It raises `Undefined` if the kernel would read a
value that is NULL, or use invalid memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kbuildpy.loader.hints import PARAMETER_TYPE
from kbuildpy.loader.memory.data import Memory, Pointer, SectionOffset
from kbuildpy.loader.parameters.arguments import as_text
from kbuildpy.loader.parameters.numbers import RANGES, kstrto, kstrtobool
from kbuildpy.loader.parameters.param_table import Parameter, array_at, ops_at, string_at
from kbuildpy.loader.printk import signed
from kbuildpy.loader.verdict import Undefined


class Fault(NamedTuple):
    """Why a value is refused."""

    errno: str
    """The name of the errno."""
    takes: str
    """The values that the parameter accepts, as the end of a sentence; "" if that is not the reason."""


Setter = Callable[[Memory, bytes | None, Parameter, int], Fault | None]
"""A function that sets a parameter. It takes the memory, the value (None: the argument has none), the parameter, and
the offset in bytes from `arg` to the variable."""

CHARP_LIMIT = 1024
"""The longest value that a charp parameter accepts, in bytes."""

_INTEGERS = {
    "param_set_byte": ("u8", 1),
    "param_set_short": ("s16", 2),
    "param_set_ushort": ("u16", 2),
    "param_set_int": ("s32", 4),
    "param_set_uint": ("u32", 4),
    "param_set_hexint": ("u32", 4),
    "param_set_ullong": ("u64", 8),
}
_LONGS = {
    8: {"param_set_long": ("s64", 8), "param_set_ulong": ("u64", 8)},
    4: {"param_set_long": ("s32", 4), "param_set_ulong": ("u32", 4)},
}
"""By the size of a long."""


_TRUTHS = "it takes y or n, 1 or 0, on or off"
_SHOWN = 60
"""The most characters of a value that a message shows."""


def shortened(value: bytes) -> str:
    """Return `value` for a message, in quotes; of a long value only the beginning, and its length in bytes."""
    text = as_text(value)
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(value)} bytes)"


def set_parameter(memory: Memory, value: bytes | None, parameter: Parameter) -> Fault | None:
    """Set the parameter to `value` with its operations; returns None or the fault.

    If a function that is not in kernel/params.c sets the parameter, its value is noted as not checked. Raises
    `Undefined`, or `Elsewhere` if a structure of the parameter is not in the module.
    """
    return _set(memory, value, parameter, parameter.ops, 0)


def _set(memory: Memory, value: bytes | None, parameter: Parameter, operations: Pointer, shift: int) -> Fault | None:
    ops = ops_at(memory, operations)
    if not ops.known:
        name = as_text(parameter.name)
        memory.info.not_checked(
            f"the value of parameter {name}", reason=f"it is judged by {ops.set}, not by kernel/params.c"
        )
        return None
    number = _INTEGERS.get(ops.set) or _LONGS[memory.info.machine.word].get(ops.set)
    if number:
        return _integer(memory, _not_null(memory, value, parameter), parameter.arg, number, shift)
    return _SETTERS[ops.set](memory, value, parameter, shift)


def _integer(memory: Memory, value: bytes, arg: Pointer, form: tuple[str, int], shift: int) -> Fault | None:
    kind, size = form
    number = kstrto(value, kind)
    if isinstance(number, str):
        least, greatest = RANGES[kind]
        if number == "ERANGE":
            return Fault("ERANGE", f"it takes numbers from {least} to {greatest}")
        if not least and value.startswith(b"-"):
            return Fault("EINVAL", "it takes no negative numbers")
        return Fault("EINVAL", "it takes a number")
    memory.store(arg, size, number, shift=shift)
    return None


def _bool(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    return _truth(memory, value, parameter.arg, 1, shift)


def _invbool(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    return _truth(memory, value, parameter.arg, 1, shift, inverted=True)


def _bint(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    return _truth(memory, value, parameter.arg, 4, shift)


def _truth(
    memory: Memory, value: bytes | None, arg: Pointer, size: int, shift: int, *, inverted: bool = False
) -> Fault | None:
    truth = kstrtobool(b"1" if value is None else value, memory.info.kernel.version)
    if isinstance(truth, str):
        return Fault("EINVAL", _TRUTHS)
    memory.store(arg, size, truth != inverted, shift=shift)
    return None


def _bool_enable_only(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    arg = parameter.arg
    # The kernel reads the variable before it parses the value.
    if isinstance(arg, int):
        raise Undefined(
            memory.info.stage, f"a byte of the parameter is read at the address {arg + shift:#x}", PARAMETER_TYPE
        )
    is_set = isinstance(arg, SectionOffset) and memory.integer(SectionOffset(arg.section, arg.offset + shift), 1)
    truth = kstrtobool(b"1" if value is None else value, memory.info.kernel.version)
    if isinstance(truth, str):
        return Fault("EINVAL", _TRUTHS)
    if not truth and is_set:
        return Fault("EROFS", "it can be switched on, but not off again")
    if truth:
        memory.store(arg, 1, 1, shift=shift)
    return None


def _charp(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    if len(_not_null(memory, value, parameter)) > CHARP_LIMIT:
        _complain(memory, parameter, "string parameter too long")
        return Fault("ENOSPC", f"it takes {CHARP_LIMIT} bytes at most")
    memory.store(parameter.arg, memory.info.machine.word, shift=shift)
    return None


def _copystring(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    text = _not_null(memory, value, parameter)
    description = string_at(memory, parameter.arg)
    if len(text) >= description.maxlen:
        size = description.maxlen - 1 & 0xFFFFFFFF
        _complain(memory, parameter, f"string doesn't fit in {size} chars.")
        return Fault("ENOSPC", f"it takes {max(description.maxlen - 1, 0)} bytes at most")
    memory.store(description.string, len(text) + 1)
    return None


def _array(memory: Memory, value: bytes | None, parameter: Parameter, shift: int) -> Fault | None:
    """Set the elements one after the other until one fails.

    The kernel writes the number of elements, 0, before it sets the first one. It refuses an array without elements, but
    an empty value has one, the empty string.
    """
    array = array_at(memory, parameter.arg)
    text = _not_null(memory, value, parameter)
    if array.num != 0:
        memory.store(array.num, 4)
    for number, element in enumerate(text.split(b",")):
        if number == array.max:
            _complain(memory, parameter, f"can only take {signed(array.max)} arguments")
            return Fault("EINVAL", f"it takes {array.max} values at most, with commas between them")
        target = parameter._replace(arg=array.elem)
        fault = _set(memory, element, target, array.ops, number * array.elemsize)
        if fault is not None:
            return fault._replace(takes=f"value {number + 1} is {shortened(element)}, and {fault.takes}")
    return None


_SETTERS: dict[str, Setter] = {
    "param_set_bool": _bool,
    "param_set_invbool": _invbool,
    "param_set_bint": _bint,
    "param_set_bool_enable_only": _bool_enable_only,
    "param_set_charp": _charp,
    "param_set_copystring": _copystring,
    "param_array_set": _array,
}


def _not_null(memory: Memory, value: bytes | None, parameter: Parameter) -> bytes:
    """`value`. Raises `Undefined` if it is None: the operations allow an argument without a value, but read the
    value."""
    if value is None:
        name = as_text(parameter.name)
        raise Undefined(
            memory.info.stage,
            f"the value of {name} is read, and {name} may be named without one",
            f"give it a value ({name}=VALUE), and take KERNEL_PARAM_OPS_FL_NOARG from its operations",
        )
    return value


def _complain(memory: Memory, parameter: Parameter, complaint: str) -> None:
    memory.info.log(f"{as_text(parameter.name)}: {complaint}")

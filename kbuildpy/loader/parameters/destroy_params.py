# SPDX-License-Identifier: GPL-2.0-only
"""Frees the parameters when the module is removed, or refused late: kernel/params.c: destroy_params.

The kernel reads the operations of each parameter, also of those that were not set. The operations of a charp parameter
read its variable to free the copy of the argument. They do not follow the pointer that the variable contains.
"""

from __future__ import annotations

from kbuildpy.loader.hints import PARAMETER_OPS, PARAMETER_TYPE
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import ImportedAddress, Memory, Pointer, SectionOffset
from kbuildpy.loader.memory.protection import gone, is_removable
from kbuildpy.loader.parameters.arguments import as_text
from kbuildpy.loader.parameters.param_table import Elsewhere, array_at, check_import, entries, name_at, parameter_layout
from kbuildpy.loader.verdict import Undefined

_FREE = 3
"""The words before `free` in `struct kernel_param_ops`."""
_FREES = {"param_ops_charp": "param_free_charp", "param_array_ops": "param_array_free"}
"""The function `free` of the operations that kernel/params.c exports; the operations not listed have none."""


def module_destroy_params(info: LoadInfo) -> None:
    """Check the parameters of a module that can be removed, when its init sections are freed. Raises `Undefined`."""
    if is_removable(info):
        destroy_params(Memory(info), init_is_over=True)


def destroy_params(memory: Memory, *, init_is_over: bool = False) -> None:
    """Raise `Undefined` for a parameter whose operations or variable the kernel would read from invalid memory.

    `init_is_over`: the init sections have been freed.
    """
    layout = parameter_layout(memory.info)
    for entry in entries(memory.info):
        section, start = entry
        try:
            ops, arg = (
                memory.pointer(SectionOffset(section, start + layout.ops)),
                SectionOffset(section, start + layout.arg),
            )
            free = _free(memory, ops)
            if init_is_over and isinstance(ops, SectionOffset):
                _is_kept(memory, entry, ops, "operations")
            if free == "param_free_charp":
                _free_charp(memory, entry, memory.pointer(arg), init_is_over)
            elif free == "param_array_free":
                _array_free(memory, entry, memory.pointer(arg), init_is_over)
        except Elsewhere:
            continue


def _free(memory: Memory, ops: Pointer) -> str:
    """The name of the function `free` of the operations if the kernel exports it; "" if the module defines it or there
    is none."""
    info = memory.info
    if isinstance(ops, ImportedAddress):
        check_import(memory, ops)
        return "" if ops.addend else _FREES.get(ops.symbol, "")
    if isinstance(ops, int):
        raise Undefined(info.stage, f"the operations of a parameter are read at the address {ops:#x}", PARAMETER_OPS)
    free = memory.pointer(SectionOffset(ops.section, ops.offset + _FREE * info.machine.word))
    if isinstance(free, ImportedAddress):
        return free.symbol
    if free != 0 and not (isinstance(free, SectionOffset) and memory.is_code(free)):
        shown = f"{free:#x}" if isinstance(free, int) else memory.shown(free)
        raise Undefined(
            info.stage,
            f"the function that frees a parameter is {shown}, which is not code, and the kernel calls it",
            PARAMETER_OPS,
        )
    return ""


def _array_free(memory: Memory, entry: SectionOffset, arg: Pointer, init_is_over: bool) -> None:
    array = array_at(memory, arg)
    if _free(memory, array.ops) != "param_free_charp" or isinstance(array.num, ImportedAddress):
        return
    count = array.max if array.num == 0 else memory.integer(_place(memory, entry, array.num), 4)
    for number in {0, count - 1} if count else ():
        element = array.elem
        if isinstance(element, SectionOffset):
            element = SectionOffset(element.section, element.offset + number * array.elemsize)
        _free_charp(memory, entry, element, init_is_over)


def _free_charp(memory: Memory, entry: SectionOffset, arg: Pointer, init_is_over: bool) -> None:
    if isinstance(arg, ImportedAddress):
        if arg.is_far:
            raise Undefined(
                memory.info.stage,
                f"the variable of a charp parameter is read at {arg}, where nothing is",
                PARAMETER_TYPE,
            )
        return
    place = _place(memory, entry, arg)
    memory.integer(place, memory.info.machine.word)
    if init_is_over:
        _is_kept(memory, entry, place, "variable")


def _is_kept(memory: Memory, entry: SectionOffset, place: SectionOffset, what: str) -> None:
    obstacle = gone(memory.info, place.section)
    if obstacle:
        raise Undefined(
            memory.info.stage,
            f"parameter {as_text(name_at(memory, entry))} is read when the module is removed, and its {what}, "
            f"{memory.shown(place)}, is {obstacle}",
            hint=f"remove __initdata from the {what} of the parameter",
        )


def _place(memory: Memory, entry: SectionOffset, pointer: SectionOffset | int) -> SectionOffset:
    if isinstance(pointer, SectionOffset):
        return pointer
    raise Undefined(
        memory.info.stage,
        f"parameter {as_text(name_at(memory, entry))} is read when the module is removed, and has its variable at "
        f"the address {pointer:#x}",
        PARAMETER_TYPE,
    )

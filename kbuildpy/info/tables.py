# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's tables in a module, read as they are once it is relocated: parameters, debug messages, trace events.

Layouts are those of 64-bit machines, the same from 5.10 to 7.3: include/linux/moduleparam.h (struct kernel_param),
include/linux/dynamic_debug.h (struct _ddebug), include/linux/trace_events.h (struct trace_event_call),
include/linux/tracepoint-defs.h (struct tracepoint).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import ImportedAddress, Memory, Pointer, SectionOffset
from kbuildpy.loader.parameters.param_table import Elsewhere, entries, name_at
from kbuildpy.loader.verdict import Undefined

_POINTER = 8
_PERMISSIONS = 24
"""The offset of `perm` in struct kernel_param."""
_MESSAGE, _MESSAGE_WITHOUT_KEY = 56, 40
"""sizeof(struct _ddebug), with jump labels and without."""
_LINE_BITS = (1 << 18) - 1
_CLASS, _EVENT_NAME = 16, 24
"""Offsets of `class` and `tp` in struct trace_event_call."""


class DebugMessage(NamedTuple):
    """A place that dynamic debug can switch on."""

    file: str
    line: int
    function: str
    format: str
    """The format of printk."""


class Tracepoint(NamedTuple):
    """A tracepoint; `system` is that of its trace event, "" where it has none."""

    system: str
    name: str


def permissions(info: LoadInfo) -> dict[str, int]:
    """The file mode of each parameter in /sys/module/NAME/parameters, 0 for no file. Raises `Undefined`."""
    memory = Memory(info)
    found: dict[str, int] = {}
    for section, start in entries(info):
        try:
            name = _text(name_at(memory, SectionOffset(section, start)))
        except Elsewhere:
            continue
        found.setdefault(name, memory.integer(SectionOffset(section, start + _PERMISSIONS), 2))
    return found


def debug_messages(info: LoadInfo) -> list[DebugMessage]:
    """The messages that dynamic debug can switch on, in the table's order. Raises `Undefined`."""
    memory = Memory(info)
    section = info.find_sec("__dyndbg")
    size = info.sechdrs[section].sh_size if section else 0
    step = _message_size(info, memory, section, size)
    return [
        DebugMessage(
            file=_string(memory, SectionOffset(section, start + 2 * _POINTER)),
            line=memory.integer(SectionOffset(section, start + 4 * _POINTER), 4) & _LINE_BITS,
            function=_string(memory, SectionOffset(section, start + _POINTER)),
            format=_string(memory, SectionOffset(section, start + 3 * _POINTER)),
        )
        for start in range(0, size - step + 1, step)
    ]


_TRACEPOINT = "__tracepoint_"
"""What the symbol of a tracepoint begins with (include/linux/tracepoint.h)."""


def tracepoints(info: LoadInfo) -> list[Tracepoint]:
    """The tracepoints that the module defines, those with a trace event first. Raises `Undefined`."""
    memory = Memory(info)
    found = {point.name: point for point in _trace_events(info, memory)}
    tables = set(info.numbers_of("__tracepoints"))
    for number, symbol in enumerate(info.symbols):
        if symbol[3] in tables and (name := info.symbol_name(number)).startswith(_TRACEPOINT):
            found.setdefault(name.removeprefix(_TRACEPOINT), Tracepoint("", name.removeprefix(_TRACEPOINT)))
    return list(found.values())


def _trace_events(info: LoadInfo, memory: Memory) -> Iterator[Tracepoint]:
    section = info.find_sec("_ftrace_events")
    size = info.sechdrs[section].sh_size if section else 0
    tables = set(info.numbers_of("__tracepoints"))
    for start in range(0, size // _POINTER * _POINTER, _POINTER):
        event = memory.pointer(SectionOffset(section, start))
        kind = _follow(memory, event, _CLASS)
        point = _follow(memory, event, _EVENT_NAME)
        if isinstance(point, SectionOffset) and point.section in tables:
            point = memory.pointer(point)
        yield Tracepoint(_string_at(memory, _follow(memory, kind)), _string_at(memory, point))


def _message_size(info: LoadInfo, memory: Memory, section: int, size: int) -> int:
    """By the kernel's configuration; where that is not known, by where the pointers to names are."""
    has_keys = info.kernel.has("JUMP_LABEL")
    if has_keys is None and size >= 2 * _MESSAGE_WITHOUT_KEY:
        second = memory.pointer(SectionOffset(section, _MESSAGE_WITHOUT_KEY + _POINTER))
        has_keys = size % _MESSAGE == 0 and not isinstance(second, SectionOffset)
        has_keys = has_keys or size % _MESSAGE_WITHOUT_KEY != 0
    return _MESSAGE_WITHOUT_KEY if has_keys is False else _MESSAGE


def _follow(memory: Memory, pointer: Pointer, shift: int = 0) -> Pointer:
    """The pointer `shift` bytes behind where `pointer` leads; itself if that is not in the module."""
    if isinstance(pointer, SectionOffset):
        return memory.pointer(SectionOffset(pointer.section, pointer.offset + shift))
    return pointer


def _string(memory: Memory, place: SectionOffset) -> str:
    return _string_at(memory, memory.pointer(place))


def _string_at(memory: Memory, pointer: Pointer) -> str:
    """The string at `pointer`; "" where it is not in the module."""
    if isinstance(pointer, SectionOffset):
        return _text(memory.string(pointer))
    if isinstance(pointer, ImportedAddress):
        return ""
    if pointer:
        raise Undefined(memory.info.stage, f"a name is at the address {pointer:#x}", AS_BUILT)
    return ""


def _text(string: bytes) -> str:
    return string.decode("utf-8", "surrogateescape")

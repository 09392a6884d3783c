# SPDX-License-Identifier: GPL-2.0-only
"""The entry points that arm64's ftrace patches (arch/arm64/kernel/ftrace.c: ftrace_init_nop, ftrace_call_adjust)."""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import TraceSites
from kbuildpy.loader.memory.code import SectionBytes, first_time
from kbuildpy.loader.memory.pointers import Pointer

NOP = bytes.fromhex("1f2003d5")
BTI = frozenset(bytes([hint, 0x24, 0x03, 0xD5]) for hint in (0x1F, 0x5F, 0x9F, 0xDF))
"""The instructions `bti`, `bti c`, `bti j` and `bti jc`."""


def trace_sites(info: LoadInfo) -> TraceSites | None:
    """Return the check for a nop at the beginning of each function, after `bti` if the function begins with one; None
    if the kernel checks nothing.

    With DYNAMIC_FTRACE_WITH_CALL_OPS, two nops precede the function. The kernel overwrites the nop, so a second entry
    for the same address is not accepted.
    """
    if not info.is_set("DYNAMIC_FTRACE_WITH_REGS", "DYNAMIC_FTRACE_WITH_ARGS"):
        return None
    call_ops = info.kernel.has("DYNAMIC_FTRACE_WITH_CALL_OPS") is True
    bti = info.kernel.has("ARM64_BTI_KERNEL") is True
    text = SectionBytes(info)
    is_first = first_time()

    def is_expected(pointer: Pointer) -> bool:
        if call_ops:
            pointer = pointer._replace(offset=pointer.offset + 8)
            if bti and text.at(pointer, 4) in BTI:
                pointer = pointer._replace(offset=pointer.offset + 4)
        return is_first(pointer) and text.at(pointer, 4) == NOP

    return TraceSites("__patchable_function_entries", is_expected, adjusts=True)

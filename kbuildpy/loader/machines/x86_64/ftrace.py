# SPDX-License-Identifier: GPL-2.0-only
"""The entry points that x86-64's ftrace patches (arch/x86/kernel/ftrace.c: ftrace_init_nop, ftrace_verify_code)."""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import TraceSites
from kbuildpy.loader.machines.x86_64.static_call import NOP5
from kbuildpy.loader.memory.code import Calls, SectionBytes, first_time
from kbuildpy.loader.memory.pointers import Pointer

FENTRY = "__fentry__"
_CALL = b"\xe8"


def trace_sites(info: LoadInfo) -> TraceSites | None:
    """Return the check for a call of `__fentry__` at each address; None if the kernel does not check.

    The kernel overwrites the call, so a second entry for the same address is not accepted. If the configuration is not
    known, nops are accepted as well.
    """
    # Objtool has replaced the calls by nops already, and the kernel does not verify them.
    if info.kernel.has("FTRACE_MCOUNT_USE_OBJTOOL"):
        return None
    calls = Calls(info, (FENTRY,))
    text = SectionBytes(info)
    is_first = first_time()
    nops_allowed = info.kernel.config is None

    def is_expected(pointer: Pointer) -> bool:
        if text.at(pointer, 1) == _CALL:
            return is_first(pointer) and calls.target(pointer.section, pointer.offset + 1) is not None
        return nops_allowed and text.at(pointer, 5) == NOP5

    # (ftrace_verify_code, or what the kernel's compiler has inlined it into)
    return TraceSites("__mcount_loc", is_expected, ("arch/x86/kernel/ftrace.c", "<function>"))

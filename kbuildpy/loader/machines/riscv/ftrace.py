# SPDX-License-Identifier: GPL-2.0-only
"""The entry points that riscv64's ftrace patches (arch/riscv/kernel/ftrace.c: ftrace_init_nop).

The kernel overwrites what is there, and compares nothing: no code is refused, and data would be lost.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import TraceSites
from kbuildpy.loader.memory.pointers import Pointer
from kbuildpy.loader.verdict import Undefined

_SECTION = "__patchable_function_entries"
_LENGTH = 8
"""Bytes from the entry point to the end of what is overwritten."""


def trace_sites(info: LoadInfo) -> TraceSites | None:
    """Return the check that each entry point is in code of the module, which raises `Undefined` for others."""

    def is_expected(pointer: Pointer) -> bool:
        section = info.sechdrs[pointer.section] if 0 < pointer.section < len(info.sechdrs) else None
        is_code = section is not None and section.sh_flags & SHF_EXECINSTR and section.sh_flags & SHF_ALLOC
        if section is None or not is_code or pointer.offset + _LENGTH > section.sh_size:
            raise Undefined(
                info.stage,
                f"an entry of {_SECTION} points to {info.symbol_name(pointer.symbol)!r}{pointer.offset:+#x}, which is "
                "not in code of the module, and is overwritten",
                AS_BUILT,
            )
        return True

    return TraceSites(_SECTION, is_expected)

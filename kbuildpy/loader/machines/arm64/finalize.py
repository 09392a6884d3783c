# SPDX-License-Identifier: GPL-2.0-only
"""Patches the code of an arm64 module: arch/arm64/kernel/module.c: module_finalize, arch/arm64/kernel/alternative.c.

If several sections have the same name, the kernel uses the first one.
"""

from __future__ import annotations

import struct

from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, MODULE_LDS, TABLES
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.arm64.frob import trampolines
from kbuildpy.loader.machines.arm64.relocate import has_plts
from kbuildpy.loader.memory.code import Code
from kbuildpy.loader.memory.pointers import entry, pointers, sites, whole_entries
from kbuildpy.loader.verdict import Undefined

ALTERNATIVE = struct.Struct("<8xHBB")
"""struct alt_instr: two distances (to the code and to its replacement), the capability, the lengths of both."""
CALLBACK = 1 << 15
"""Bit of the capability: the second distance leads to a function that patches the code (ARM64_CB_BIT)."""
CAPABILITIES = 192
"""The bits of the kernel's table of capabilities, in whole words; the most of all versions up to 7.3 (ARM64_NCAPS)."""
_CALLBACK_HINT = "use ALTERNATIVE_CB() in modules with functions of the kernel only"


def module_finalize(info: LoadInfo) -> None:
    """Check the alternatives, then whether the module has the sections of the trampolines to ftrace.

    Not checked: the shadow call stack (`.init.eh_frame`), which the kernel patches in on some processors only. Raises
    `Refusal` or `Undefined`.
    """
    number = info.find_any_sec(".altinstructions")
    if number:
        _apply_alternatives(info, number)
    if not info.is_set("DYNAMIC_FTRACE"):
        return
    if not has_plts(info):
        return
    for name in trampolines(info):
        if not info.find_any_sec(name):
            raise info.refuse(
                "ENOEXEC",
                None,
                f"the module has no section {name}",
                hint=MODULE_LDS,
            )


def _apply_alternatives(info: LoadInfo, number: int) -> None:
    """Check all entries, although it depends on the processor which of them the kernel applies."""
    whole_entries(info, number, ALTERNATIVE.size)
    contents = info.data(number)
    found = pointers(info, number)
    code = Code(info)
    for offset, pointer in sites(info, number, ALTERNATIVE.size):
        capability, before, after = ALTERNATIVE.unpack(entry(contents, offset, ALTERNATIVE.size))
        which = f"entry {offset // ALTERNATIVE.size} of .altinstructions"
        wanted = 0 if capability & CALLBACK else before
        if after != wanted:
            raise Undefined(
                info.stage,
                f"{which} has a replacement of {after} bytes, not {wanted}: BUG_ON() where it is used",
                TABLES,
            )
        if not capability & CALLBACK and capability >= CAPABILITIES:
            raise Undefined(
                info.stage,
                f"{which} is for capability {capability}, which is looked up behind the end of a table",
                TABLES,
            )
        code.at(number, pointer, before)
        replacement = found.get(offset + 4)
        if replacement is None:
            raise Undefined(
                info.stage,
                f"the pointer at {offset + 4:#x} of .altinstructions is not relocated, and the kernel follows it",
                AS_BUILT,
            )
        if not capability & CALLBACK:
            code.at(number, replacement, after)
        elif replacement.section and info.kernel.version < since.CALLBACKS_OF_KERNEL:
            raise Undefined(
                info.stage,
                f"{which} is patched by a function of the module itself, which is called while its memory is not yet "
                "executable",
                _CALLBACK_HINT,
            )
        elif replacement.section:
            raise info.refuse(
                "ENOEXEC",
                f"Modules: module {info.mod_name}: error occurred when applying alternatives",
                f"{which} is patched by a function of the module itself, on processors that use it",
                _CALLBACK_HINT,
            )

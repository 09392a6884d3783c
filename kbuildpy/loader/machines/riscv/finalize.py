# SPDX-License-Identifier: GPL-2.0-only
"""Patches the code of a riscv64 module: arch/riscv/kernel/module.c: module_finalize, arch/riscv/kernel/cpufeature.c.

If several sections have the same name, the kernel uses the first one.
"""

from __future__ import annotations

import struct

from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.code import Code
from kbuildpy.loader.memory.pointers import entry, pointers, sites, whole_entries
from kbuildpy.loader.verdict import Undefined

SECTION = ".alternative"
EARLY = struct.Struct("<16xQQI")
"""struct alt_entry up to 6.2: two addresses (of the code and of its replacement), the vendor, the length, the number of
the feature."""
ENTRY = struct.Struct("<8xHHI")
"""struct alt_entry: two distances, the vendor, the length, the number of the extension in the low 16 bits."""
FEATURES = 2
"""The features that kernels up to 6.2 know (CPUFEATURE_NUMBER)."""
EXTENSIONS, VENDOR_EXTENSIONS = 128, 0x8000
"""Numbers below the first are extensions, those from the second on vendors' (RISCV_ISA_EXT_MAX,
RISCV_VENDOR_EXT_ALTERNATIVES_BASE)."""


def module_finalize(info: LoadInfo) -> None:
    """Check all alternatives, although it depends on the processor which of them the kernel applies.

    Nothing is refused here. The kernel warns of an unknown extension. Raises `Undefined` if the kernel would read or
    write outside of the module.
    """
    number = info.find_any_sec(SECTION)
    if not number or info.kernel.has("RISCV_ALTERNATIVE") is False:
        return
    early = info.kernel.version < since.RISCV_RELATIVE_ALTERNATIVES
    form = EARLY if early else ENTRY
    kinds = info.machine.relocations.absolute if early else None
    whole_entries(info, number, form.size)
    contents = info.data(number)
    found = pointers(info, number, kinds)
    code = Code(info)
    for offset, pointer in sites(info, number, form.size, kinds):
        vendor, length, feature = form.unpack(entry(contents, offset, form.size))
        extension = feature & 0xFFFF
        if early:
            is_unknown, words = feature >= FEATURES, f"This feature id:{feature} is not in kernel cpufeature list"
        else:
            is_unknown = EXTENSIONS <= extension < VENDOR_EXTENSIONS
            words = f"This extension id:{extension} is not in ISA extension list"
        if is_unknown and not (early and vendor):
            info.warn("arch/riscv/kernel/cpufeature.c", "riscv_cpufeature_patch_func", words)
            continue
        code.at(number, pointer, length)
        replacement = found.get(offset + (8 if early else 4))
        if replacement is None:
            raise Undefined(
                info.stage,
                f"the second pointer at {offset:#x} of {SECTION} is not relocated, and the kernel follows it",
                AS_BUILT,
            )
        code.at(number, replacement, length)

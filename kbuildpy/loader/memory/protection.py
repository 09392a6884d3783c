# SPDX-License-Identifier: GPL-2.0-only
"""Which sections of a module are writable, read-only or freed, and when (kernel/module/strict_rwx.c; main.c:
do_init_module).

From complete_formation on, read-only memory is protected. After the init function has returned, the init sections are
freed, and sections with SHF_RO_AFTER_INIT become read-only. The functions return the obstacle as words for a message
("read-only memory"), "" if there is none.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_RO_AFTER_INIT, SHF_WRITE
from kbuildpy.loader.load_info import LoadInfo


def no_memory(info: LoadInfo, number: int) -> str:
    """Return why section `number` has no memory at its address."""
    if number == info.index.pcpu:
        return "per CPU, and has no address of its own"
    return ""


def not_writable(info: LoadInfo, number: int) -> str:
    """Return why section `number` must not be written to from complete_formation on."""
    if number == info.index.mod:
        return "struct module, which is the kernel's to write"
    if info.sechdrs[number].sh_flags & (SHF_ALLOC | SHF_WRITE) == SHF_ALLOC and _is_strict(info):
        return "read-only memory"
    return no_memory(info, number)


def gone(info: LoadInfo, number: int) -> str:
    """Return why section `number` is not in memory after the init function has returned."""
    if not info.sechdrs[number].sh_flags & SHF_ALLOC or info.is_init_section(info.section_name(number)):
        return "freed when init is over"
    return ""


def sealed(info: LoadInfo, number: int) -> str:
    """Return why section `number` cannot be written to after the init function has returned."""
    if info.sechdrs[number].sh_flags & SHF_RO_AFTER_INIT and _is_strict(info):
        return "read-only when init is over"
    return gone(info, number)


def is_removable(info: LoadInfo) -> bool:
    """Return whether the module can be unloaded without force."""
    has_init, has_exit = info.struct_functions()
    return info.kernel.has("MODULE_UNLOAD") is not False and (has_exit or not has_init)


def _is_strict(info: LoadInfo) -> bool:
    return info.kernel.has("STRICT_MODULE_RWX") is not False

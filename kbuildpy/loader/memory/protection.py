# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module that is writable, and how long (kernel/module/strict_rwx.c; main.c: do_init_module).

From complete_formation on, read-only memory is protected. When init is over, memory for init only is freed, and memory
that is read-only after init becomes so. Each function gives the obstacle in words, "" where there is none.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_RO_AFTER_INIT, SHF_WRITE
from kbuildpy.loader.load_info import LoadInfo


def no_memory(info: LoadInfo, number: int) -> str:
    """Why nothing is where section `number` says that it is."""
    if number == info.index.pcpu:
        return "per CPU, and has no address of its own"
    return ""


def not_writable(info: LoadInfo, number: int) -> str:
    """Why section `number` must not be written to once the module is formed."""
    if number == info.index.mod:
        return "struct module, which is the kernel's to write"
    if info.sechdrs[number].sh_flags & (SHF_ALLOC | SHF_WRITE) == SHF_ALLOC and _is_strict(info):
        return "read-only memory"
    return no_memory(info, number)


def gone(info: LoadInfo, number: int) -> str:
    """Why section `number` no longer exists when init is over."""
    if not info.sechdrs[number].sh_flags & SHF_ALLOC or info.is_init_section(info.section_name(number)):
        return "freed when init is over"
    return ""


def sealed(info: LoadInfo, number: int) -> str:
    """Why section `number` cannot be written to any more when init is over."""
    if info.sechdrs[number].sh_flags & SHF_RO_AFTER_INIT and _is_strict(info):
        return "read-only when init is over"
    return gone(info, number)


def is_removable(info: LoadInfo) -> bool:
    """Whether the module can be removed without force."""
    has_init, has_exit = info.struct_functions()
    return info.kernel.has("MODULE_UNLOAD") is not False and (has_exit or not has_init)


def _is_strict(info: LoadInfo) -> bool:
    return info.kernel.has("STRICT_MODULE_RWX") is not False

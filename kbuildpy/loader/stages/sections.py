# SPDX-License-Identifier: GPL-2.0-only
"""Checks of single sections that the kernel makes before it resolves symbols.

Counterparts: kernel/module/main.c (percpu_modalloc, find_module_sections, check_module_license_and_versions and its
later halves, setup_modinfo).
"""

from __future__ import annotations

from kbuildpy.elf.kernel_symbol import field_size
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.pointers import has_address
from kbuildpy.loader.stages.modinfo import modinfo_values, rebuild
from kbuildpy.loader.stages.taints import try_to_force_load

_PERCPU_RESERVE = 8 << 10
_PERCPU_MIN = 4
_PERCPU_UNIT = 32 << 10
"""PCPU_MIN_ALLOC_SIZE and PCPU_MIN_UNIT_SIZE: the alignment of the allocator, and the most that it gives at once."""
_PERCPU_RESERVE_PROFILED = 8 << 13


def percpu_modalloc(info: LoadInfo) -> None:
    """Raise `Refusal` (ENOMEM) if the module's per-CPU variables do not fit the reserve that all modules share
    (include/linux/percpu.h: PERCPU_MODULE_RESERVE)."""
    section = info.sechdrs[info.index.pcpu]
    size, align = section.sh_size, section.sh_addralign
    if not info.index.pcpu or not size:
        return
    page, unit = info.page_size, max(_PERCPU_UNIT, info.page_size)
    if align > page:
        info.log(f"{info.mod_name}: per-cpu alignment {_signed(align, info.machine.bits)} > {page}")
        align = page
    align = max(align, _PERCPU_MIN)
    rounded = (size + _PERCPU_MIN - 1) // _PERCPU_MIN * _PERCPU_MIN
    if align & (align - 1) or rounded > unit:
        function = "pcpu_alloc_noprof" if info.kernel.version >= since.EXECMEM else "pcpu_alloc"
        info.warn("mm/percpu.c", function, f"illegal size ({rounded}) or align ({align}) for percpu allocation")
        raise info.refuse(
            "ENOMEM",
            f"{info.mod_name}: Could not allocate {size} bytes percpu data",
            f"its per-CPU variables take {size} bytes, aligned to {align}: that is not possible",
            "look at their alignment, or allocate them at run time: alloc_percpu()",
        )
    if not info.machine.has_percpu_reserve:
        if size > _PERCPU_RESERVE:
            info.not_checked("whether its per-CPU variables fit", reason="that depends on the kernel's own")
        return
    is_enlarged = not has_change(info.kernel.version, since.PERCPU_PROFILED_UNTIL)
    profiled = is_enlarged and info.kernel.has("MEM_ALLOC_PROFILING")
    reserve = _PERCPU_RESERVE_PROFILED if profiled else _PERCPU_RESERVE
    if size > reserve:
        info.log(f"percpu: allocation failed, size={rounded} align={align} atomic=0, alloc from reserved chunk failed")
        raise info.refuse(
            "ENOMEM",
            f"{info.mod_name}: Could not allocate {size} bytes percpu data",
            f"its per-CPU variables take {size} bytes, and all modules together have {reserve}",
            "allocate them at run time: alloc_percpu()",
        )


def find_module_sections(info: LoadInfo) -> None:
    """Raise `Refusal` (EINVAL) for a module with both .ctors and .init_array; log obsolete sections."""
    if info.kernel.version >= since.FLAGSTAB:
        for name in ("__ksymtab_gpl", "__kcrctab_gpl"):
            # (section 0, whose number a missing section has, gets an address where it is kept)
            if info.find_sec(name) or has_address(info, 0):
                info.log(f"{info.mod_name}: ignoring obsolete section {name}")
    if info.is_set("DEBUG_INFO_BTF_MODULES"):
        # The kernel compares the name of each section with .BTF, also names that it has not checked.
        any(info.section_name(number) == ".BTF" for number in range(1, len(info.sechdrs)))
    if info.kernel.has("CONSTRUCTORS") and info.find_sec(".ctors") and info.find_sec(".init_array"):
        line = f"{info.mod_name}: has both .ctors and .init_array."
        raise info.refuse(
            "EINVAL",
            line,
            "it has constructors in two forms, of which a compiler writes one",
            "build all of it with one compiler",
        )
    if info.find_sec("__obsparm") or has_address(info, 0):
        info.log(f"{info.mod_name}: Ignoring obsolete parameters")


def check_export_sections(info: LoadInfo) -> None:
    """Raise `Refusal` (ENOEXEC) for exports without CRCs if the kernel has CONFIG_MODVERSIONS, and from 7.1 on for
    exports without flags (check_export_symbol_versions)."""
    flagged = info.kernel.version >= since.FLAGSTAB
    if flagged and _count(info, "__ksymtab") and not info.find_sec("__kflagstab"):
        line = f"{info.mod_name}: no flags for exported symbols"
        raise info.refuse("ENOEXEC", line, "its exports were made for an older kernel", rebuild(info))
    if not info.kernel.has("MODVERSIONS"):
        return
    suffixes = ("",) if flagged else ("", "_gpl")
    without = any(_count(info, "__ksymtab" + each) and not info.find_sec("__kcrctab" + each) for each in suffixes)
    if without and not try_to_force_load(info, "no versions for exported symbols"):
        raise info.refuse(
            "ENOEXEC",
            None,
            "no versions for exported symbols: this kernel asks for their CRCs",
            f"{rebuild(info)}; genksyms of its tree makes the CRCs",
        )


def setup_modinfo(info: LoadInfo) -> None:
    """Raise `Refusal` (EPERM) for an import of a namespace `module:...`, which lists the modules that may use it."""
    if info.kernel.version >= since.MODULE_NAMESPACES:
        for namespace in modinfo_values(info, "import_ns"):
            if namespace.startswith("module:"):
                line = f"{info.mod_name}: module tries to import module namespace: {namespace}"
                raise info.refuse(
                    "EPERM",
                    line,
                    f"it imports the namespace {namespace}: the exporter lists who may use such a one",
                    "remove that MODULE_IMPORT_NS()",
                )


def _count(info: LoadInfo, name: str) -> int:
    return info.sechdrs[info.find_sec(name)].sh_size // (3 * field_size(info.machine.e_machine))


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> bits - 1 else number

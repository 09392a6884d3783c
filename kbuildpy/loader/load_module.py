# SPDX-License-Identifier: GPL-2.0-only
"""load_module() of kernel/module/main.c: runs the stages in the kernel's order (`_EARLY` or `_LATE`, `SYMBOLS`,
`AFTER_SYMBOLS`).

A stage raises `Refusal` or `Undefined` to end the loading. Up to 6.3 (`_LATE`), vermagic and taints come before memory
is allocated, and the name is checked after. From 6.4 on (`_EARLY`), vermagic and the name are checked before memory is
allocated, and taints are set after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOBITS, SHT_NULL
from kbuildpy.elf.headers import SHDR_SIZE
from kbuildpy.errors import KbuildError
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import DAMAGED
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.known import KNOWN_LOADERS, is_loader_known
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.loader.parameters.destroy_params import module_destroy_params
from kbuildpy.loader.parameters.dyndbg import dynamic_debug_setup
from kbuildpy.loader.parameters.parse_args import copy_args, parse_args
from kbuildpy.loader.stages import modinfo
from kbuildpy.loader.stages.coming import prepare_coming_module
from kbuildpy.loader.stages.constructors import do_mod_ctors
from kbuildpy.loader.stages.decompress import module_decompress
from kbuildpy.loader.stages.elf_index import check_struct_size
from kbuildpy.loader.stages.elf_validity import elf_validity
from kbuildpy.loader.stages.finalize import post_relocation
from kbuildpy.loader.stages.ftrace import ftrace_module_init
from kbuildpy.loader.stages.layout import check_struct_is_writable, layout_and_allocate, total_size
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.stages.requires import in_order
from kbuildpy.loader.stages.sections import check_export_sections, find_module_sections, percpu_modalloc, setup_modinfo
from kbuildpy.loader.stages.signature_check import module_sig_check
from kbuildpy.loader.stages.symbols import simplify_symbols, verify_exported_symbols
from kbuildpy.loader.stages.sysfs import mod_sysfs_setup
from kbuildpy.loader.stages.taints import is_tainted, letters
from kbuildpy.loader.stages.versions import check_modstruct_version
from kbuildpy.loader.verdict import Refusal, Undefined, Verdict

Stage = Callable[[LoadInfo], None]
NamedStage = tuple[str, Stage]

NO_MODULES = Modules()
_MUCH = 64 << 20
"""Bytes of memory that every machine is assumed to have."""


def load_module(
    contents: bytes,
    kernel: LoaderKernel,
    modules: Modules = NO_MODULES,
    args: str = "",
    *,
    file: str = "",
    on_demand: bool = True,
    packed: bytes = b"",
) -> tuple[Verdict, Modules]:
    """Return the verdict of finit_module(2) of `kernel` on the module `contents` with parameters `args`, and the
    modules that are loaded afterwards. `modules` are loaded before.

    `file` is the path for the verdict. `packed` is the beginning (2 KiB) of a compressed module file, which the kernel
    may decompress itself. `on_demand`: one of the kernel's own modules counts as loaded if a symbol of it is needed, as
    with modprobe; otherwise only `modules` are loaded.

    A damaged module is refused in the verdict and raises nothing. Raises `KbuildError` for a kernel whose loader is not
    known.
    """
    info = begin(contents, kernel, modules, args, on_demand=on_demand, packed=packed)
    verdict, loaded = result(info, file, run(info, (*before_symbols(info), SYMBOLS, *AFTER_SYMBOLS)))
    return verdict, modules if loaded is None else replace(modules, loaded=(loaded, *modules.loaded))


def begin(
    contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, *, on_demand: bool = True, packed: bytes = b""
) -> LoadInfo:
    """Return the state before the first stage. Raises `KbuildError` for a kernel whose loader is not known."""
    if not is_loader_known(kernel.version, kernel.machine):
        raise KbuildError(
            f"{kernel.release}: the loader of this kernel is not supported",
            hint=f"known are {KNOWN_LOADERS}",
        )
    return LoadInfo(
        contents,
        kernel=kernel,
        machine=machine_named(kernel.machine).facts,
        modules=modules,
        args=args,
        packed=packed,
        on_demand=on_demand,
    )


def run(info: LoadInfo, stages: Iterable[NamedStage]) -> Refusal | Undefined | None:
    """Run `stages`; return what ended them, None if none did."""
    try:
        for name, stage in stages:
            info.stage = info.called = name
            stage(info)
    except (Refusal, Undefined) as end:
        return end
    return None


def result(info: LoadInfo, file: str, end: Refusal | Undefined | None) -> tuple[Verdict, Loaded | None]:
    """Return the verdict for the module in `file` after its stages, which `end` has ended, and the module as it is
    loaded; None if it is not accepted."""
    if isinstance(end, Refusal):
        return _refused(info, file, end), None
    if isinstance(end, Undefined):
        return _undefined(info, file, end), None
    size = total_size(info)
    if info.size_unknown:
        info.not_checked("its size", reason=info.size_unknown)
    elif size is None:
        info.not_checked("its size, and the checks that depend on options of the kernel", Fact.CONFIG)
    elif size > _MUCH:
        info.not_checked("whether the machine has memory for it", reason=f"it takes {size >> 20} MiB")
    requires = in_order(info)
    verdict = replace(
        _verdict(info, file),
        accepted=True,
        requires=requires,
        warnings=tuple(line for line in info.journal.lines if line not in info.journal.taint_lines),
        exports=tuple(info.exports),
        size=size,
        module_taints=letters(info.taints.module),
        passed=len(stage_names(info)),
    )
    has_init, has_exit = info.struct_functions()
    loaded = Loaded(
        name=info.mod_name,
        size=size or 0,
        init_size=sum(size for kind, size in info.layout.sizes.items() if kind.startswith("init")),
        taints=letters(info.taints.module),
        uses=tuple(name for name in info.requires if info.modules.find(name)),
        exports=info.exports,
        has_init=has_init,
        has_exit=has_exit,
    )
    return verdict, loaded


def before_symbols(info: LoadInfo) -> tuple[NamedStage, ...]:
    """Return the stages before symbols are resolved."""
    stages = _EARLY if info.kernel.version >= since.EARLY_MOD_CHECK else _LATE
    return (_DECOMPRESS, *stages) if info.packed else stages


def stage_names(info: LoadInfo) -> tuple[str, ...]:
    """Return the names of all stages, in their order; one of `STAGE_LISTS`."""
    return _names(before_symbols(info))


def _names(before: Iterable[NamedStage]) -> tuple[str, ...]:
    return tuple(name for name, _ in (*before, SYMBOLS, *AFTER_SYMBOLS))


def _verdict(info: LoadInfo, file: str) -> Verdict:
    stages = stage_names(info)
    return Verdict(
        file=file,
        kernel=info.kernel.release,
        name=info.mod_name or info.name or "",
        accepted=False,
        taints=letters(info.taints.kernel),
        unchecked=tuple(info.journal.unchecked),
        lines=tuple(info.journal.lines),
        sections=info.layout.placed,
        memory=info.layout.sizes,
        stages=stages,
        passed=stages.index(info.called),
    )


def _refused(info: LoadInfo, file: str, refusal: Refusal) -> Verdict:
    return replace(
        _verdict(info, file),
        errno=refusal.errno,
        log=refusal.line,
        stage=refusal.stage,
        reason=refusal.reason,
        hint=refusal.hint or None,
    )


def _undefined(info: LoadInfo, file: str, undefined: Undefined) -> Verdict:
    reason = f"the kernel does not check this, and would crash or be damaged: {undefined.reason}"
    return replace(_verdict(info, file), stage=undefined.stage, reason=reason, hint=undefined.hint or None)


def _read_file(info: LoadInfo) -> None:
    """Refuse an empty file (fs/kernel_read_file.c: kernel_read_file)."""
    if not info.contents:
        raise info.refuse("EINVAL", None, "the file is empty", "build it again: its build or its copy was interrupted")


def _blacklisted(info: LoadInfo) -> None:
    if info.name in info.kernel.blacklist:
        line = f"Module {info.name} is blacklisted"
        raise info.refuse(
            "EPERM",
            line,
            "the kernel was started with module_blacklist= and its name",
            "take its name out of module_blacklist= on the kernel command line, and boot again",
        )


def rewrite_section_headers(info: LoadInfo) -> None:
    """Clear SHF_ALLOC of `.modinfo` and the sections of versions, which the kernel does not keep in memory.

    The kernel writes addresses into the section headers of its copy of the file. Raises `Undefined` for a section that
    overlaps with the headers.
    """
    start = info.hdr.e_shoff
    stop = start + len(info.sechdrs) * SHDR_SIZE[info.machine.is_64bit]
    for number, section in enumerate(info.sechdrs):
        is_there = section.sh_type not in (SHT_NULL, SHT_NOBITS) and section.sh_size
        if is_there and section.sh_offset < stop and start < section.sh_offset + section.sh_size:
            name = info.section_name(number)
            raise Undefined(
                info.stage, f"{name} overlaps with the section headers, which the kernel writes to", DAMAGED
            )
    index = info.index
    # If a section does not exist, its number is 0, and the flags of section 0 change, as in the kernel.
    not_kept = [index.vers, index.info]
    if info.kernel.version >= since.EXTENDED_VERSIONS:
        not_kept += [index.vers_ext_crc, index.vers_ext_name]
    for number in not_kept:
        info.sechdrs[number].sh_flags &= ~SHF_ALLOC


def _check_modinfo_late(info: LoadInfo) -> None:
    modinfo.check_vermagic(info)
    check_struct_size(info)
    modinfo.check_out_of_tree(info)
    modinfo.check_retpoline(info)
    modinfo.check_staging(info)
    modinfo.check_livepatch(info)
    if info.is_livepatch:
        modinfo.taint_livepatch(info)
    modinfo.check_license(info)
    modinfo.check_test(info)


def _check_modinfo_early(info: LoadInfo) -> None:
    modinfo.check_vermagic(info)
    modinfo.check_livepatch(info)


def _augment_kernel_taints(info: LoadInfo) -> None:
    tainted_before = is_tainted(info, "P")
    modinfo.check_out_of_tree(info)
    modinfo.check_retpoline(info)
    modinfo.check_staging(info)
    if info.is_livepatch:
        modinfo.taint_livepatch(info)
    modinfo.check_license(info)
    modinfo.check_test(info)
    modinfo.check_sig_ok(info)
    modinfo.check_offenders(info, tainted_before=tainted_before)


def _check_license_and_versions(info: LoadInfo) -> None:
    modinfo.check_offenders(info, tainted_before=is_tainted(info, "P"))
    check_export_sections(info)


def _check_exists(info: LoadInfo) -> None:
    """Refuse a module whose name is loaded already."""
    loaded = info.modules.find(info.mod_name)
    if loaded is not None:
        if loaded.state == "GOING":
            reason = f"a module called {info.mod_name} is being unloaded"
            raise info.refuse("EBUSY", None, reason, "try again after that")
        # If that module is still being loaded, the kernel waits for the end before it refuses this one.
        raise info.refuse(
            "EEXIST", None, f"a module called {info.mod_name} is loaded already", f"rmmod {info.mod_name}"
        )


SYMBOLS: NamedStage = ("simplify_symbols", simplify_symbols)
AFTER_SYMBOLS: tuple[NamedStage, ...] = (
    ("apply_relocations", apply_relocations),
    ("post_relocation", post_relocation),
    ("strndup_user", copy_args),
    ("dynamic_debug_setup", dynamic_debug_setup),
    ("ftrace_module_init", ftrace_module_init),
    ("verify_exported_symbols", verify_exported_symbols),
    ("complete_formation", check_struct_is_writable),
    ("prepare_coming_module", prepare_coming_module),
    ("parse_args", parse_args),
    ("mod_sysfs_setup", mod_sysfs_setup),
    ("do_mod_ctors", do_mod_ctors),
    ("module_destroy_params", module_destroy_params),
)
_LATE: tuple[NamedStage, ...] = (
    ("kernel_read_file", _read_file),
    ("module_sig_check", module_sig_check),
    ("elf_validity_check", elf_validity),
    ("blacklisted", _blacklisted),
    ("rewrite_section_headers", rewrite_section_headers),
    ("check_modstruct_version", check_modstruct_version),
    ("check_modinfo", _check_modinfo_late),
    ("layout_and_allocate", layout_and_allocate),
    ("add_unformed_module", _check_exists),
    ("load_module", modinfo.check_sig_ok),
    ("percpu_modalloc", percpu_modalloc),
    ("find_module_sections", find_module_sections),
    ("check_module_license_and_versions", _check_license_and_versions),
    ("setup_modinfo", setup_modinfo),
)
_EARLY: tuple[NamedStage, ...] = (
    ("kernel_read_file", _read_file),
    ("module_sig_check", module_sig_check),
    ("elf_validity_cache_copy", elf_validity),
    ("blacklisted", _blacklisted),
    ("rewrite_section_headers", rewrite_section_headers),
    ("check_modstruct_version", check_modstruct_version),
    ("check_modinfo", _check_modinfo_early),
    ("early_mod_check", _check_exists),
    ("layout_and_allocate", layout_and_allocate),
    ("module_augment_kernel_taints", _augment_kernel_taints),
    ("percpu_modalloc", percpu_modalloc),
    ("find_module_sections", find_module_sections),
    ("check_export_symbol_versions", check_export_sections),
    ("setup_modinfo", setup_modinfo),
)
_DECOMPRESS: NamedStage = ("module_decompress", module_decompress)
STAGE_LISTS: tuple[tuple[str, ...], ...] = tuple(
    _names(before) for stages in (_EARLY, _LATE) for before in (stages, (_DECOMPRESS, *stages))
)
"""The names of the stages, in their order, for each kind of kernel and file."""

# SPDX-License-Identifier: GPL-2.0-only
"""What varies by kernel version, all of it.

The tree is asked first: the macros in its `export-internal.h` say which calls a `.mod.c` must consist of,
its `module.h` how a device table is named, and whether `scripts/module-common.c` exists who carries the
vermagic. Only what no file of a headers package tells is looked up by version.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kbuildpy.elf.constants import EM_PPC, EM_PPC64, EM_S390
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.mismatch_rules import SectionRules, section_rules


@dataclass(frozen=True)
class Dialect:
    """How one kernel's modpost reads, speaks and writes."""

    crcs_in_objects: bool
    """`__crc_NAME` symbols of the object are the CRCs of its exports; later Kbuild's records have them (5.19)."""
    newest_first: bool
    """Each module, import and missing namespace comes before the ones that were met earlier (up to 5.18)."""
    one_export_per_name: bool
    """A second export of a name alters the first, or is warned of and changes only its CRC and namespace;
    `Module.symvers` comes in the order of a hash table (up to 5.18)."""
    writes_in_spite_of_errors: bool
    """Only a fatal error keeps modpost from writing (up to 5.18)."""
    static_exports: Literal["", "warning", "error"]
    """What an exported symbol is that is not global in any object; from 5.19 on other programs look for that."""
    early_errors: bool
    """Up to 5.10 a missing licence is warned of and the use of a GPL-only symbol is fatal."""
    needs_vmlinux: bool
    """Undefined symbols are reported only when a symvers file knows vmlinux, but then all of them (up to 5.11)."""
    retired_exports: bool
    """EXPORT_UNUSED_SYMBOL() and EXPORT_SYMBOL_GPL_FUTURE() exist."""
    prototype_hint: bool
    """A missing CRC is explained."""
    truncates_lines: bool
    """A line that is too long is cut off and filled up with NUL bytes; later that is fatal."""
    test_flag: bool
    """Modules below tools/testing are marked (6.0)."""
    exports_by_section: bool
    """`.export_symbol` requests instead of the compiler's own `___ksymtab+NAME` sections (6.4)."""
    symbol_flags: bool
    """KSYMTAB_FUNC(name, ns) and SYMBOL_FLAGS(); before, GPL-only exports had sections of their own."""
    carries_vermagic: bool
    """The `.mod.c` has build salt and vermagic; later every module links `.module-common.o`."""
    headers: tuple[str, ...]
    """The headers that a `.mod.c` includes, in order; `define` marks where INCLUDE_VERMAGIC goes."""
    retpoline_config: str
    """The symbol that guards MODULE_INFO(retpoline) in a `.mod.c`, "" where that moved to module-common."""
    device_table_modname: bool
    """Device tables are named __mod_device_table__kmod_MODULE__TYPE__TABLE and duplicate aliases dropped."""
    separate_version_tables: bool
    """-b and -x choose the CRC tables; before, -m stood for the basic one (6.14)."""
    module_prefix: bool
    """Messages start with the module's name."""
    fatal_word: str
    """How a fatal error begins."""
    checks_before_writing: bool
    """Every module is checked before the first `.mod.c` is written, so that an error prevents all (6.4)."""
    description: str
    """When a missing MODULE_DESCRIPTION() is reported: "never", "extra" (with -W) or "always"."""
    module_namespaces: bool
    """A namespace `module:a,b*` names the modules that may use a symbol."""
    ignores_section_bounds: bool
    """Undefined __start_SECTION and __stop_SECTION are the linker's to define."""
    symvers_owner_by_file: bool
    """The same owner in two symvers files counts as two modules."""
    typec_mode: bool
    """A Type-C alias names the mode."""
    wmi_upper_case: bool
    """A WMI GUID is checked letter by letter and turned to upper case."""
    alias_buffers: bool
    """Input and DMI aliases that outgrow 256 bytes are fatal; an unknown PCI override is only warned of."""
    ignored_prefixes: dict[int, tuple[str, ...]]
    """By e_machine: undefined symbols that the final link of a module provides."""
    white_sections: tuple[str, ...]
    """Patterns of sections that may lack SHF_ALLOC."""
    section_rules: SectionRules
    """Which sections may not refer to which."""
    explains_mismatches: bool
    """The message about a section mismatch is a paragraph, and the name of a relocation section, not its header, says
    to which section it applies (before 6.0)."""
    locates_mismatches: bool
    """The message about a section mismatch has offsets and addresses, found by one search for all sections (6.5)."""
    names_by_address: bool
    """Where no symbol is near, a section mismatch tells the address instead of "(unknown)" (6.12)."""
    first_symbol_counts: bool
    """Of symbols at one address the first names it, always; before, the first only on a direct hit (6.7)."""
    mapping_symbols: str
    """Matches names that no message uses, such as ARM's `$a`."""
    mismatch_is_fatal: bool
    """With -E, modpost gives up in the end instead of reporting an error (before 5.11)."""
    version: tuple[int, int]

    def has_table(self, device_id: str) -> bool:
        """Whether file2alias.c knows `device_id`; some structs are older than their aliases."""
        return self.version >= TABLE_SINCE.get(device_id, (0, 0))


def dialect_of(tree: KernelTree) -> Dialect:
    """The dialect of `tree`."""
    include = tree.source / "include/linux"
    export_internal = _text(include / "export-internal.h")
    init_header = _text(include / "init.h")
    version = tree.version
    own_vermagic = not (tree.source / "scripts/module-common.c").exists()
    headers = ["module.h"]
    if own_vermagic:
        headers += [name for name in ("build-salt.h", "elfnote-lto.h") if (include / name).exists()]
    headers += ["export-internal.h"] if export_internal else []
    headers += ["vermagic.h"] if own_vermagic else []
    headers += ["compiler.h"]
    until_5_18 = not export_internal
    return Dialect(
        crcs_in_objects=until_5_18,
        newest_first=until_5_18,
        one_export_per_name=until_5_18,
        writes_in_spite_of_errors=until_5_18,
        static_exports="" if not until_5_18 else "warning" if version < (5, 11) else "error",
        early_errors=version < (5, 11),
        needs_vmlinux=version < (5, 12),
        retired_exports="EXPORT_UNUSED_SYMBOL" in _text(include / "export.h"),
        prototype_hint=version >= (5, 13),
        truncates_lines=until_5_18,
        test_flag=version >= (6, 0),
        exports_by_section="KSYMTAB_FUNC" in export_internal,
        symbol_flags="SYMBOL_FLAGS" in export_internal,
        carries_vermagic=own_vermagic,
        headers=tuple(headers),
        retpoline_config=_retpoline(version) if own_vermagic else "",
        device_table_modname="__mod_device_table__" in _text(include / "module.h"),
        separate_version_tables=version >= (6, 14),
        module_prefix=version >= (6, 19),
        fatal_word="FATAL" if version < (6, 12) else "ERROR",
        checks_before_writing="KSYMTAB_FUNC" in export_internal,
        description="always" if version >= (6, 16) else "extra" if version >= (6, 8) else "never",
        module_namespaces=version >= (6, 16),
        ignores_section_bounds=version >= (6, 16),
        symvers_owner_by_file=version >= (6, 14),
        typec_mode=version < (6, 19),
        wmi_upper_case=version >= (6, 19),
        alias_buffers=version >= (6, 19),
        ignored_prefixes=IGNORED_PREFIXES | (IGNORED_ON_S390 if (5, 18) <= version < (6, 11) else {}),
        white_sections=WHITE_SECTIONS
        + (EARLY_SECTIONS if until_5_18 else ())
        + (LLVM_SECTIONS if version >= (6, 12) else ())
        + (LATER_SECTIONS if version >= (6, 19) else ()),
        section_rules=section_rules(version, meminit='".meminit.' in init_header, memexit='".memexit.' in init_header),
        explains_mismatches=version < (6, 0),
        locates_mismatches=version >= (6, 5),
        names_by_address=version >= (6, 12),
        first_symbol_counts=version >= (6, 7),
        mapping_symbols=_mapping_symbols(_text(include / "module_symbol.h")),
        mismatch_is_fatal=version < (5, 11),
        version=version,
    )


def _retpoline(version: tuple[int, int]) -> str:
    return "CONFIG_RETPOLINE" if version < (6, 9) else "CONFIG_MITIGATION_RETPOLINE"


def _mapping_symbols(header: str) -> str:
    """From 6.5 on the kernel's own is_mapping_symbol() decides; it went from four letters after `$` to any."""
    dollar = r"\$" if "return str[0] == '$';" in header else r"\$[adtx](?:\.|\Z)"
    return rf"{dollar}|\.L|L0" if "'L'" in header else dollar


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""


TABLE_SINCE = {
    "auxiliary": (5, 11),
    "ssam": (5, 11),
    "dfl": (5, 12),
    "ishtp": (5, 16),
    "mhi_ep": (5, 19),
    "slim": (6, 12),
    "cdx": (6, 4),
    "vchiq": (6, 7),
    "coreboot": (6, 9),
    "mcb": (6, 19),
}
IGNORED_PREFIXES = {
    EM_PPC: ("_restgpr_", "_savegpr_", "_rest32gpr_", "_save32gpr_", "_restvr_", "_savevr_"),
    EM_PPC64: (
        "_restgpr0_",
        "_savegpr0_",
        "_restgpr1_",
        "_savegpr1_",
        "_restfpr_",
        "_savefpr_",
        "_restvr_",
        "_savevr_",
    ),
}
IGNORED_ON_S390 = {EM_S390: ("__s390_indirect_jump_r",)}
WHITE_SECTIONS = (
    ".comment*",
    ".debug*",
    ".zdebug*",
    ".GCC.command.line",
    ".mdebug*",
    ".pdr",
    ".stab*",
    ".note*",
    ".got*",
    ".toc*",
    ".xt.prop",
    ".xt.lit",
    ".arcextmap*",
    ".gnu.linkonce.arcext*",
    ".cmem*",
    ".fmt_slot*",
    ".gnu.lto*",
    ".discard.*",
)
EARLY_SECTIONS = (".cranges",)
LLVM_SECTIONS = (".llvm.call-graph-profile",)
LATER_SECTIONS = ("__llvm_covfun", "__llvm_covmap", ".klp.symid")

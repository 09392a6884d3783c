# SPDX-License-Identifier: GPL-2.0-only
"""All differences between the modposts of kernel versions, except those of section mismatches (`mismatch_rules`).

The files of the kernel tree decide where they can: the macros in `export-internal.h` decide which macros a `.mod.c`
uses, `module.h` decides the names of device tables' symbols, and `scripts/module-common.c`, if it exists, has the
vermagic in place of the `.mod.c`. Differences that no file of a headers package shows depend on the version number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kbuildpy.elf.constants import EM_PPC, EM_PPC64, EM_S390
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.mismatch_rules import SectionRules, section_rules


@dataclass(frozen=True)
class Dialect:
    """The differences of one kernel's modpost. Versions in parentheses are the first or last kernel of a behaviour."""

    crcs_in_objects: bool
    """The CRCs of exports are the `__crc_NAME` symbols of the object (up to 5.18); later `.cmd` files have them."""
    newest_first: bool
    """Modules, imports and missing namespaces are in reverse order: the newest comes first (up to 5.18)."""
    one_export_per_name: bool
    """A second export of a name changes the first. In a conflict there is a warning, and only CRC and namespace change.
    `Module.symvers` is in the order of a hash table (up to 5.18)."""
    writes_in_spite_of_errors: bool
    """modpost writes its files also after an error, unless the error is fatal (up to 5.18)."""
    static_exports: Literal["", "warning", "error"]
    """The severity of an export that is global in no object; "" from 5.19 on, where modpost does not check it."""
    early_errors: bool
    """A missing licence is a warning, and the use of a GPL-only symbol is fatal (up to 5.10)."""
    needs_vmlinux: bool
    """Undefined symbols are reported only if a symvers file has symbols of vmlinux, but then all of them (up to
    5.11)."""
    retired_exports: bool
    """EXPORT_UNUSED_SYMBOL() and EXPORT_SYMBOL_GPL_FUTURE() exist (up to 5.11)."""
    prototype_hint: bool
    """The message about a missing CRC has a second line, about <asm/asm-prototypes.h> (since 5.13)."""
    truncates_lines: bool
    """A line that is too long is truncated and padded with NUL bytes (up to 5.18); later it is a fatal error."""
    test_flag: bool
    """The `.mod.c` of a module below tools/testing has MODULE_INFO(test) (since 6.0)."""
    exports_by_section: bool
    """Exports are in `.export_symbol` (since 6.4), not in the `___ksymtab+NAME` sections of EXPORT_SYMBOL()."""
    symbol_flags: bool
    """The `.mod.c` has KSYMTAB_FUNC(name, ns) and SYMBOL_FLAGS(); before, GPL-only exports had their own section."""
    carries_vermagic: bool
    """The `.mod.c` has build salt and vermagic; later `.module-common.o` has them, which every module links."""
    headers: tuple[str, ...]
    """The headers that a `.mod.c` includes, in order."""
    retpoline_config: str
    """The CONFIG_ symbol that guards MODULE_INFO(retpoline) in a `.mod.c`; "" where `.module-common.o` has it."""
    device_table_modname: bool
    """Symbols of device tables are named __mod_device_table__kmod_MODULE__TYPE__TABLE, and duplicate aliases are
    dropped."""
    quotes_namespaces: bool
    """MODULE_IMPORT_NS() takes a string (since 6.13), for those who are told to use it."""
    separate_version_tables: bool
    """-b and -x choose the tables of CRCs (since 6.14); before, -m asks for the basic one."""
    module_prefix: bool
    """Messages start with the module's name (since 6.19)."""
    fatal_word: str
    """The first word of a fatal error: FATAL up to 6.11, ERROR later."""
    checks_before_writing: bool
    """Every module is checked before the first `.mod.c` is written, so that after an error none is (since 6.4)."""
    description: str
    """When a missing MODULE_DESCRIPTION() is reported: "never", "extra" (with -W) or "always"."""
    module_namespaces: bool
    """A namespace `module:a,b*` names the modules that may use a symbol (since 6.16)."""
    ignores_section_bounds: bool
    """Undefined __start_SECTION and __stop_SECTION are ignored, because the linker defines them (since 6.16)."""
    symvers_owner_by_file: bool
    """Owners of the same name in two symvers files are two modules (since 6.14)."""
    typec_mode: bool
    """A Type-C alias has the mode (up to 6.18)."""
    wmi_upper_case: bool
    """The characters of a WMI GUID are checked, and converted to upper case (since 6.19)."""
    alias_buffers: bool
    """Input and DMI aliases that do not fit into 256 bytes are fatal errors, and an entry with an unknown PCI override
    gets an alias after the warning (since 6.19)."""
    ignored_prefixes: dict[int, tuple[str, ...]]
    """By e_machine: prefixes of undefined symbols that the final link of a module defines."""
    white_sections: tuple[str, ...]
    """Patterns of the names of sections that need no SHF_ALLOC and whose references are not checked."""
    section_rules: SectionRules
    """The rules for references between sections."""
    explains_mismatches: bool
    """The message about a section mismatch has several lines, and the name of a relocation section, not its header,
    decides the section it applies to (before 6.0)."""
    locates_mismatches: bool
    """The message about a section mismatch has offsets and addresses; one search finds the symbols of all sections
    (since 6.5)."""
    names_by_address: bool
    """If no symbol is near, the message about a section mismatch has the address in place of "(unknown)" (since
    6.12)."""
    first_symbol_counts: bool
    """Of several symbols at one address, messages name the first (since 6.7). In 6.5 and 6.6 they name it only for an
    exact match, else the last."""
    mapping_symbols: str
    """A regular expression for the names of symbols that messages do not use, such as ARM's `$a`."""
    mismatch_is_fatal: bool
    """With -E, section mismatches are a fatal error (up to 5.10), later an error."""
    version: tuple[int, int]
    """The kernel's version."""

    def has_table(self, device_id: str) -> bool:
        """Whether this kernel's file2alias.c makes aliases for tables of the kind `device_id`; some structs are older
        than that."""
        return self.version >= TABLE_SINCE.get(device_id, (0, 0))


_IMPORT_OF_STRING = r"define\s+MODULE_IMPORT_NS\((\w+)\)\s+MODULE_INFO\(import_ns, \1\)"


def dialect_of(tree: KernelTree) -> Dialect:
    """The `Dialect` of the modpost of `tree`."""
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
        quotes_namespaces=re.search(_IMPORT_OF_STRING, _text(include / "module.h")) is not None,
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
    """`Dialect.mapping_symbols`, from the text of module_symbol.h: from 6.5 on its is_mapping_symbol() decides, which
    first accepted four letters after `$`, later any."""
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

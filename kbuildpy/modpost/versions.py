# SPDX-License-Identifier: GPL-2.0-only
"""All differences between the modposts of kernel versions; `mismatch_rules` has those of section mismatches.

The files of the kernel tree decide where they can: the macros in `export-internal.h` decide which macros a `.mod.c`
uses, `module.h` decides the names of device tables' symbols, and `scripts/module-common.c`, if it exists, has the
vermagic in place of the `.mod.c`. Differences that no file of a headers package shows depend on the version (`since`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kbuildpy.elf.constants import EM_PPC, EM_PPC64, EM_S390
from kbuildpy.kernel.release import Version, has_change
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost import since
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
    5.12)."""
    retired_exports: bool
    """EXPORT_UNUSED_SYMBOL() and EXPORT_SYMBOL_GPL_FUTURE() exist (up to 5.11)."""
    prototype_hint: bool
    """The message about a missing CRC has a second line, about <asm/asm-prototypes.h> (since 5.13)."""
    truncates_lines: bool
    """A line that is too long is truncated and padded with NUL bytes (before `since.LONG_LINES_FATAL`)."""
    test_flag: bool
    """The `.mod.c` of a module below tools/testing has MODULE_INFO(test) (since 6.0)."""
    exports_by_section: bool
    """Exports are in `.export_symbol` (since 6.5), not in the `___ksymtab+NAME` sections of EXPORT_SYMBOL()."""
    symbol_flags: bool
    """The `.mod.c` has KSYMTAB_FUNC(name, ns) and SYMBOL_FLAGS(); before, GPL-only exports had their own section."""
    orc_header: bool
    """The `.mod.c` has the ORC_HEADER of x86 (6.4 to 6.11)."""
    carries_vermagic: bool
    """The `.mod.c` has build salt and vermagic; later `.module-common.o` has them, which every module links."""
    headers: tuple[str, ...]
    """The headers that a `.mod.c` includes, in order."""
    retpoline_config: str
    """The CONFIG_ symbol that guards MODULE_INFO(retpoline) in a `.mod.c`; "" where `.module-common.o` has it."""
    device_table_modname: bool
    """Symbols of device tables are named __mod_device_table__kmod_MODULE__TYPE__TABLE (since 6.18)."""
    device_table_prefix: bool
    """Symbols of device tables begin with __mod_device_table__, duplicate aliases are dropped, and a damaged table is
    an error (since 6.13); before, the names end with _device_table, and it is fatal."""
    quotes_namespaces: bool
    """MODULE_IMPORT_NS() takes a string (since 6.13), for those who are told to use it."""
    separate_version_tables: bool
    """-b and -x choose the tables of CRCs (since 6.14); before, -m asks for the basic one."""
    module_prefix: bool
    """Messages start with the module's name (since 7.3)."""
    fatal_word: str
    """The first word of a fatal error: FATAL up to 6.7, ERROR later."""
    checks_before_writing: bool
    """Every module is checked before the first `.mod.c` is written, so that after an error none is (since 6.5)."""
    description: str
    """When a missing MODULE_DESCRIPTION() is reported: "never", "extra" (with -W) or "always"."""
    module_namespaces: bool
    """A namespace `module:a,b*` names the modules that may use a symbol (since 6.16)."""
    ignores_section_bounds: bool
    """Undefined __start_SECTION and __stop_SECTION are ignored, because the linker defines them (since 6.19)."""
    symvers_owner_by_file: bool
    """Owners of the same name in two symvers files are two modules (since 6.13)."""
    typec_mode: bool
    """A Type-C alias has the mode (up to 6.13)."""
    wmi_upper_case: bool
    """The characters of a WMI GUID are checked, and converted to upper case (since 7.2)."""
    alias_buffers: bool
    """Input and DMI aliases that do not fit into 256 bytes are fatal errors (since 7.1)."""
    input_last_bit: bool
    """Input aliases have the last bit of each bitmap (since 6.13)."""
    srcversion_headers: bool
    """The srcversion covers headers, too (since 6.8)."""
    ignored_prefixes: dict[int, tuple[str, ...]]
    """By e_machine: prefixes of undefined symbols that the final link of a module defines."""
    white_sections: tuple[str, ...]
    """Patterns of the names of sections that need no SHF_ALLOC and whose references are not checked."""
    section_rules: SectionRules
    """The rules for references between sections."""
    explains_mismatches: bool
    """The message about a section mismatch has several lines, and the name of a relocation section, not its header,
    decides the section it applies to (before 6.0)."""
    extable_is_fatal: bool
    """An exception table that names data is a fatal error, with an explanation (up to 6.4)."""
    locates_mismatches: bool
    """The message about a section mismatch has offsets and addresses; one search finds the symbols of all sections
    (since 6.5)."""
    nearest_or_own: bool
    """If no symbol is near, the message has the name of the relocation's symbol (since 6.9)."""
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
    version: Version
    """The kernel's version."""

    def has_table(self, device_id: str) -> bool:
        """Whether this kernel's file2alias.c makes aliases for tables of the kind `device_id`; some structs are older
        than that."""
        return self.version >= since.TABLES.get(device_id, (0, 0))


_IMPORT_OF_STRING = r"define\s+MODULE_IMPORT_NS\((\w+)\)\s+MODULE_INFO\(import_ns, \1\)"


def dialect_of(tree: KernelTree) -> Dialect:
    """The `Dialect` of the modpost of `tree`."""
    include = tree.source / "include/linux"
    export_internal = _text(include / "export-internal.h")
    init_header = _text(include / "init.h")
    module_header = _text(include / "module.h")
    version = tree.stable_version
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
        static_exports="" if not until_5_18 else "warning" if version < since.LICENSE_REQUIRED else "error",
        early_errors=version < since.LICENSE_REQUIRED,
        needs_vmlinux=version < since.UNDEFINED_ALWAYS,
        retired_exports="EXPORT_UNUSED_SYMBOL" in _text(include / "export.h"),
        prototype_hint=version >= since.PROTOTYPE_HINT,
        truncates_lines=not has_change(version, since.LONG_LINES_FATAL),
        test_flag=version >= since.TEST_FLAG,
        exports_by_section="KSYMTAB_FUNC" in export_internal,
        symbol_flags="SYMBOL_FLAGS" in export_internal,
        orc_header=own_vermagic and version >= since.ORC_HEADER,
        carries_vermagic=own_vermagic,
        headers=tuple(headers),
        retpoline_config=_retpoline(version) if own_vermagic else "",
        device_table_modname="__mod_device_table__" in module_header and "kmod_" in module_header,
        device_table_prefix="__mod_device_table__" in module_header,
        quotes_namespaces=re.search(_IMPORT_OF_STRING, module_header) is not None,
        separate_version_tables=version >= since.SEPARATE_VERSION_TABLES,
        module_prefix=version >= since.MODULE_PREFIX,
        fatal_word="FATAL" if version < since.ERROR_IS_FATAL else "ERROR",
        checks_before_writing="KSYMTAB_FUNC" in export_internal,
        description=_description(version),
        module_namespaces=version >= since.MODULE_NAMESPACES,
        ignores_section_bounds=version >= since.SECTION_BOUNDS,
        symvers_owner_by_file=version >= since.SYMVERS_BY_FILE,
        typec_mode=version < since.TYPEC_WITHOUT_MODE,
        wmi_upper_case=version >= since.WMI_CHECKED,
        alias_buffers=version >= since.ALIAS_BUFFERS,
        input_last_bit=has_change(version, since.INPUT_LAST_BIT),
        srcversion_headers=has_change(version, since.SRCVERSION_HEADERS),
        ignored_prefixes=_ignored_prefixes(version),
        white_sections=WHITE_SECTIONS
        + (EARLY_SECTIONS if version < since.SHORT_MISMATCHES else ())
        + (LLVM_SECTIONS if version >= since.LLVM_CALL_GRAPH else ())
        + (LATER_SECTIONS if version >= since.LLVM_COVERAGE else ()),
        section_rules=section_rules(version, meminit='".meminit.' in init_header, memexit='".memexit.' in init_header),
        explains_mismatches=version < since.SHORT_MISMATCHES,
        extable_is_fatal=not has_change(version, since.EXTABLE_ERROR),
        locates_mismatches=version >= since.LOCATED_MISMATCHES,
        nearest_or_own=version >= since.NEAREST_OR_OWN,
        names_by_address=version >= since.NAMES_BY_ADDRESS,
        first_symbol_counts=version >= since.FIRST_SYMBOL,
        mapping_symbols=_mapping_symbols(_text(include / "module_symbol.h")),
        mismatch_is_fatal=version < since.LICENSE_REQUIRED,
        version=version,
    )


def _description(version: Version) -> str:
    if version >= since.DESCRIPTION_ALWAYS:
        return "always"
    return "extra" if version >= since.DESCRIPTION_EXTRA else "never"


def _ignored_prefixes(version: Version) -> dict[int, tuple[str, ...]]:
    prefixes = {EM_PPC: PPC_PREFIXES, EM_PPC64: PPC64_PREFIXES}
    if has_change(version, since.PPC64_SMALL):
        prefixes[EM_PPC64] += PPC64_SMALL_PREFIXES
    if since.S390_THUNKS <= version < since.S390_THUNKS_UNTIL:
        prefixes[EM_S390] = ("__s390_indirect_jump_r",)
    return prefixes


def _retpoline(version: Version) -> str:
    return "CONFIG_RETPOLINE" if version < since.MITIGATION_RETPOLINE else "CONFIG_MITIGATION_RETPOLINE"


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


PPC_PREFIXES = ("_restgpr_", "_savegpr_", "_rest32gpr_", "_save32gpr_", "_restvr_", "_savevr_")
PPC64_PREFIXES = ("_restgpr0_", "_savegpr0_", "_restvr_", "_savevr_")
PPC64_SMALL_PREFIXES = ("_restgpr1_", "_savegpr1_", "_restfpr_", "_savefpr_")
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

# SPDX-License-Identifier: GPL-2.0-only
"""What differs by kernel in modpost, without any kernel: each change at the release that made it.

The releases are those of the kernel's history; that they are right is shown against real trees in tests/parity.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.versions import (
    EARLY_SECTIONS,
    LATER_SECTIONS,
    LLVM_SECTIONS,
    WHITE_SECTIONS,
    Dialect,
    dialect_of,
)
from kbuildpy.run import run

PPC, PPC64, S390 = 20, 21, 22
MODERN = {"export-internal.h": "#define KSYMTAB_FUNC(name, ns)\n#define SYMBOL_FLAGS(name, flags)\n"}


def dialect(directory: Path, version: str, headers: dict[str, str] | None = None, *, common: bool = False) -> Dialect:
    """The dialect of a tree of this version with these headers; `common`: it has scripts/module-common.c."""
    for name, text in (MODERN if headers is None else headers).items():
        (directory / "include/linux").mkdir(parents=True, exist_ok=True)
        (directory / "include/linux" / name).write_text(text)
    if common:
        (directory / "scripts").mkdir()
        (directory / "scripts/module-common.c").touch()
    return dialect_of(KernelTree(directory, directory, version if version.count(".") > 1 else f"{version}.0"))


@pytest.mark.parametrize(
    ("field", "last", "since", "before", "after"),
    [
        ("early_errors", "5.10", "5.11", True, False),
        ("mismatch_is_fatal", "5.10", "5.11", True, False),
        ("needs_vmlinux", "5.12", "5.13", True, False),
        ("prototype_hint", "5.13", "5.14", False, True),
        ("test_flag", "5.19", "6.0", False, True),
        ("explains_mismatches", "5.19", "6.0", True, False),
        ("orc_header", "6.3", "6.4", False, True),
        ("extable_is_fatal", "6.4", "6.5", True, False),
        ("locates_mismatches", "6.4", "6.5", False, True),
        ("description", "6.4", "6.5", "never", "extra"),
        ("first_symbol_counts", "6.6", "6.7", False, True),
        ("fatal_word", "6.7", "6.8", "FATAL", "ERROR"),
        ("srcversion_headers", "6.7", "6.8", False, True),
        ("retpoline_config", "6.8", "6.9", "CONFIG_RETPOLINE", "CONFIG_MITIGATION_RETPOLINE"),
        ("nearest_or_own", "6.8", "6.9", False, True),
        ("names_by_address", "6.11", "6.12", False, True),
        ("input_last_bit", "6.12", "6.13", False, True),
        ("symvers_owner_by_file", "6.12", "6.13", False, True),
        ("separate_version_tables", "6.13", "6.14", False, True),
        ("typec_mode", "6.13", "6.14", True, False),
        ("description", "6.14", "6.15", "extra", "always"),
        ("module_namespaces", "6.15", "6.16", False, True),
        ("ignores_section_bounds", "6.18", "6.19", False, True),
        ("alias_buffers", "7.0", "7.1", False, True),
        ("truncates_lines", "7.1", "7.2", True, False),
        ("wmi_upper_case", "7.1", "7.2", False, True),
        ("module_prefix", "7.2", "7.3", False, True),
    ],
)
def test_a_change_comes_with_its_release(
    field: str, last: str, since: str, before: object, after: object, tmp_path: Path
) -> None:
    assert getattr(dialect(tmp_path, last), field) == before
    assert getattr(dialect(tmp_path, since), field) == after


@pytest.mark.parametrize(
    ("field", "last", "since", "before", "after"),
    [
        ("extable_is_fatal", "5.15.120", "5.15.121", True, False),
        ("extable_is_fatal", "6.1.38", "6.1.39", True, False),
        ("extable_is_fatal", "6.3.12", "6.3.13", True, False),
        ("srcversion_headers", "6.1.78", "6.1.79", False, True),
        ("input_last_bit", "6.1.123", "6.1.124", False, True),
        ("input_last_bit", "6.12.8", "6.12.9", False, True),
        ("truncates_lines", "6.1.188", "6.1.189", True, False),
        ("truncates_lines", "6.12.110", "6.12.111", True, False),
    ],
)
def test_a_backported_change_comes_with_the_stable_release(
    field: str, last: str, since: str, before: object, after: object, tmp_path: Path
) -> None:
    assert getattr(dialect(tmp_path, last), field) == before
    assert getattr(dialect(tmp_path, since), field) == after


def test_the_makefile_says_which_stable_release_a_tree_is(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("# licence\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n")
    assert KernelTree(tmp_path, tmp_path, "6.1.0-56-amd64").stable_version == (6, 1, 192)
    assert KernelTree(tmp_path, tmp_path, "6.12.5").stable_version == (6, 12, 5), "a Makefile of another line"
    assert KernelTree(tmp_path, tmp_path / "none", "6.1.0-56-amd64").stable_version == (6, 1, 0)


def test_a_tree_without_export_internal_h_is_an_early_one(tmp_path: Path) -> None:
    early, later = dialect(tmp_path / "early", "5.18", {}), dialect(tmp_path / "later", "5.19")
    for field in ("crcs_in_objects", "newest_first", "one_export_per_name", "writes_in_spite_of_errors"):
        assert (getattr(early, field), getattr(later, field)) == (True, False), field


@pytest.mark.parametrize(("version", "severity"), [("5.10", "warning"), ("5.11", "error"), ("5.18", "error")])
def test_static_exports_are_looked_for_up_to_5_18(version: str, severity: str, tmp_path: Path) -> None:
    assert dialect(tmp_path / "early", version, {}).static_exports == severity
    assert dialect(tmp_path / "later", "5.19").static_exports == ""


@pytest.mark.parametrize(
    ("header", "by_section", "flags"),
    [
        ("/* nothing yet */\n", False, False),
        ("#define KSYMTAB_FUNC(name, sec, ns)\n", True, False),
        ("#define KSYMTAB_FUNC(name, ns)\n#define SYMBOL_FLAGS(name, flags)\n", True, True),
    ],
)
def test_export_internal_h_says_what_a_mod_c_consists_of(
    header: str, by_section: bool, flags: bool, tmp_path: Path
) -> None:
    found = dialect(tmp_path, "6.4", {"export-internal.h": header})
    assert (found.exports_by_section, found.checks_before_writing, found.symbol_flags) == (
        by_section,
        by_section,
        flags,
    )


def test_the_headers_of_a_mod_c_are_those_that_are_there(tmp_path: Path) -> None:
    salt = {**MODERN, "build-salt.h": "", "elfnote-lto.h": ""}
    assert dialect(tmp_path / "1", "6.1", salt).headers == (
        *("module.h", "build-salt.h", "elfnote-lto.h", "export-internal.h", "vermagic.h", "compiler.h"),
    )
    assert dialect(tmp_path / "2", "5.10", {}).headers == ("module.h", "vermagic.h", "compiler.h")
    assert dialect(tmp_path / "3", "6.14", salt, common=True).headers == ("module.h", "export-internal.h", "compiler.h")


def test_vermagic_goes_to_module_common_where_there_is_such_a_file(tmp_path: Path) -> None:
    own, common = dialect(tmp_path / "1", "6.12"), dialect(tmp_path / "2", "6.12", common=True)
    assert (own.carries_vermagic, common.carries_vermagic) == (True, False)
    assert (own.retpoline_config, common.retpoline_config) == ("CONFIG_MITIGATION_RETPOLINE", "")


def test_headers_tell_of_retired_exports_and_of_the_name_of_device_tables(tmp_path: Path) -> None:
    plain = dialect(tmp_path / "1", "6.1")
    assert (plain.retired_exports, plain.device_table_prefix, plain.device_table_modname) == (False, False, False)
    told = {"export.h": "#define EXPORT_UNUSED_SYMBOL(sym)\n", "module.h": "extern __mod_device_table__##type##name\n"}
    found = dialect(tmp_path / "2", "6.1", told)
    assert (found.retired_exports, found.device_table_prefix, found.device_table_modname) == (True, True, False)
    later = dialect(tmp_path / "3", "6.1", {"module.h": "__PASTE(__mod_device_table__, __PASTE(kmod_, name))\n"})
    assert (later.device_table_prefix, later.device_table_modname) == (True, True)


@pytest.mark.parametrize(("value", "is_string"), [("#ns", False), ("__stringify(ns)", False), ("ns", True)])
def test_module_h_says_whether_a_namespace_is_quoted(value: str, is_string: bool, tmp_path: Path) -> None:
    """By the preprocessor: what is imported is the namespace itself, without further quotes."""
    text = f"#define MODULE_IMPORT_NS(ns)\tMODULE_INFO(import_ns, {value})\n"
    found = dialect(tmp_path, "6.1", {"module.h": text}).quotes_namespaces
    around = "#define __stringify(x) #x\n#define MODULE_INFO(tag, info) info\n"
    namespace = '"DMA_BUF"' if found else "DMA_BUF"
    source = f"{around}{text}MODULE_IMPORT_NS({namespace})\n"
    assert run(["gcc", "-E", "-P", "-x", "c", "-"], input=source.encode()).text.strip() == '"DMA_BUF"'
    assert found == is_string


@pytest.mark.parametrize("name", ["meminit", "memexit"])
def test_sections_of_hotplugged_memory_count_where_the_headers_have_them(name: str, tmp_path: Path) -> None:
    without = dialect(tmp_path / "1", "6.1")
    found = dialect(tmp_path / "2", "6.1", {**MODERN, "init.h": f'__section(".{name}.text")\n'})
    group = name.removeprefix("mem")
    assert f".{name}.*" not in getattr(without.section_rules, group)
    assert f".{name}.*" in getattr(found.section_rules, group)
    other = {"init": "exit", "exit": "init"}[group]
    assert f".mem{other}.*" not in getattr(found.section_rules, other)


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("5.19", EARLY_SECTIONS),
        ("6.5", ()),
        ("6.6", LLVM_SECTIONS),
        ("7.1", LLVM_SECTIONS),
        ("7.2", (*LLVM_SECTIONS, *LATER_SECTIONS)),
    ],
)
def test_sections_that_need_no_mark_grow_with_compilers(version: str, has: tuple[str, ...], tmp_path: Path) -> None:
    assert dialect(tmp_path, version).white_sections == (*WHITE_SECTIONS, *has)


@pytest.mark.parametrize(("last", "since"), [("5.15.173", "5.15.174"), ("6.1.78", "6.1.79"), ("6.1", "6.2")])
def test_every_text_section_is_checked_since_a_release(last: str, since: str, tmp_path: Path) -> None:
    assert ".text.*" not in dialect(tmp_path, last).section_rules.checks[0].fromsec
    assert ".text.*" in dialect(tmp_path, since).section_rules.checks[0].fromsec


@pytest.mark.parametrize(
    ("last", "since"),
    [
        *(("5.10.251", "5.10.252"), ("5.15.201", "5.15.202"), ("6.1.164", "6.1.165"), ("6.6.127", "6.6.128")),
        *(("6.12.74", "6.12.75"), ("6.18.15", "6.18.16"), ("6.19.5", "6.19.6"), ("6.19", "7.0")),
    ],
)
def test_functions_that_save_registers_of_small_code_are_the_linkers(last: str, since: str, tmp_path: Path) -> None:
    assert "_savegpr1_" not in dialect(tmp_path, last).ignored_prefixes[PPC64]
    assert "_savegpr1_" in dialect(tmp_path, since).ignored_prefixes[PPC64]


@pytest.mark.parametrize(("version", "has"), [("5.17", False), ("5.18", True), ("6.9", True), ("6.10", False)])
def test_thunks_of_s390_are_the_linkers_for_a_while(version: str, has: bool, tmp_path: Path) -> None:
    prefixes = dialect(tmp_path, version).ignored_prefixes
    assert (S390 in prefixes) == has
    assert "_restgpr_" in prefixes[PPC] and "_restgpr0_" in prefixes[PPC64]
    assert "_restgpr0_" not in prefixes[PPC]


@pytest.mark.parametrize(
    ("kind", "last", "since"),
    [
        ("auxiliary", "5.10", "5.11"),
        ("ssam", "5.11", "5.12"),
        ("dfl", "5.11", "5.12"),
        ("ishtp", "5.15", "5.16"),
        ("mhi_ep", "5.18", "5.19"),
        ("cdx", "6.3", "6.4"),
        ("vchiq", "6.6", "6.7"),
        ("coreboot", "6.8", "6.9"),
        ("slim", "6.11", "6.12"),
        ("mcb", "6.18", "6.19"),
    ],
)
def test_a_kind_of_device_table_is_known_since_its_release(kind: str, last: str, since: str, tmp_path: Path) -> None:
    assert not dialect(tmp_path, last).has_table(kind)
    assert dialect(tmp_path, since).has_table(kind)


def test_most_kinds_of_device_tables_are_older_than_all_releases(tmp_path: Path) -> None:
    assert dialect(tmp_path, "5.4").has_table("pci")


@pytest.mark.parametrize(
    ("header", "named", "unnamed"),
    [
        ("return str[0] == '$';", (".Lx", "a$", "L0"), ("$x", "$a", "$zebra")),
        ("return str[0] == '$' && strchr(\"axtd\", str[1])", ("$zebra", ".Lx", "L0"), ("$x", "$a.1", "$d", "$t")),
        ("if (str[0] == '.' && str[1] == 'L') return str[0] == '$';", ("L1", "x.L"), (".Lx", "L0", "$x")),
    ],
)
def test_the_kernels_own_function_says_which_symbols_messages_do_not_name(
    header: str, named: tuple[str, ...], unnamed: tuple[str, ...], tmp_path: Path
) -> None:
    pattern = re.compile(dialect(tmp_path, "6.12", {**MODERN, "module_symbol.h": header}).mapping_symbols)
    assert [name for name in (*named, *unnamed) if pattern.match(name)] == [*unnamed]

# SPDX-License-Identifier: GPL-2.0-only
"""Sets of options, Kconfig's conditions, recipes and their names, makefiles' options, without a kernel's sources."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import ARM64, X86_64
from kbuildpy.kernel.built import BUILT_NOTE
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.compiler import compiler_of, cross_variables
from kbuildpy.kernel.fetched import built_trees, fetched_trees
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel_build import requirements
from kbuildpy.kernel_build.exporters import exporting_files, ways_to_compile
from kbuildpy.kernel_build.kconfig import KconfigOption, conjunction, is_true, read_kconfig, unmet
from kbuildpy.kernel_build.option_sets import base_options, option_set_names, read_option_sets, read_options
from kbuildpy.kernel_build.recipe import KernelRecipe, Toolchain, toolchain_of
from kbuildpy.kernel_build.requirements import require_programs, require_tools
from kbuildpy.kernel_build.sources import (
    KernelSource,
    find_source,
    read_source,
    remove_unneeded_sources,
    sources_root,
)
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.program_packages import install_hint
from tests.support.fake_trees import fake_tree

PC = "CONFIG_X86=y\nCONFIG_64BIT=y\n"


def source(place: Path, **files: str) -> KernelSource:
    """Sources of a kernel with `files` (`__` in a name is `/`)."""
    given = {
        "Makefile": "VERSION = 6\nPATCHLEVEL = 9\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\n",
        "scripts__Kbuild.include": "",
        "init__main.c": "",
        "arch__x86__Kconfig": "",
        **files,
    }
    for name, text in given.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_source(place, str(place))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))


def test_each_set_says_what_it_is_for_and_has_options() -> None:
    for name in option_set_names():
        [found] = read_option_sets([name])
        assert found.summary and not found.summary.startswith("CONFIG_"), name
        assert found.options, name
        assert found.excludes <= {*option_set_names()}, name
        for other in found.excludes:
            [against] = read_option_sets([other])
            assert name in against.excludes, (name, other)


def test_modules_of_a_set_with_modversions_have_versions_since_there_are_two_kinds() -> None:
    """(Since 6.14; where all options are off, a kernel has neither.)"""
    sets = [
        found for name in option_set_names() for found in read_option_sets([name]) if "MODVERSIONS" in found.options
    ]
    assert len(sets) > 2
    assert {found.options.get("BASIC_MODVERSIONS") for found in sets} == {"y"}


def test_a_set_that_does_not_exist_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="kasna: no such set") as failed:
        read_option_sets(["kasna"])
    assert failed.value.hint == "did you mean kasan?"


def test_sets_that_exclude_each_other_are_told() -> None:
    with pytest.raises(UsageError, match="a kernel has one of the two"):
        read_option_sets(["kasan", "kcsan"])


def test_the_option_of_a_set_may_have_another_name_in_later_sources() -> None:
    [found] = read_option_sets(["cfi"])
    assert (found.main, found.main_of({"CFI_CLANG"}), found.main_of({"CFI", "CFI_CLANG"})) == (
        *("CFI_CLANG", "CFI_CLANG"),
        "CFI",
    )
    assert read_option_sets(["kasan"])[0].main_of({"KASAN"}) == "KASAN"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('CONFIG_A=y\n# a comment\n\nCONFIG_B="x y"\n', {"A": "y", "B": '"x y"'}),
        ("# CONFIG_A is not set\nCONFIG_C=0x10\n", {"A": "n", "C": "0x10"}),
    ],
)
def test_options_are_read_as_in_a_configuration(text: str, found: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "my.config"
    path.write_text(text)
    assert read_options(path) == found


def test_a_line_that_is_no_option_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.config"
    path.write_text("CONFIG_A=y\nKASAN=y\n")
    with pytest.raises(UsageError, match=r"my.config:2: not a line of a configuration: KASAN=y"):
        read_options(path)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("A", True),
        ("C", False),
        ("!C", True),
        ("M", True),
        ("!M", True),
        ("A && C", False),
        ("A && (C || M)", True),
        ("A=y", True),
        ("M=y", False),
        ("M = m", True),
        ("C != y", True),
        ('TEXT = "x"', True),
        ("$(cc-option,-fsanitize=thread)", True),
        ("A && !(M && A) && C=n", True),
    ],
)
def test_conditions_have_three_values(expression: str, holds: bool) -> None:
    assert is_true(expression, {"A": "y", "M": "m", "TEXT": '"x"'}) is holds


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("A && B", ["A", "B"]),
        ("(A && !B) && C", ["A", "!B", "C"]),
        ("A || B && C", ["A || B && C"]),
        ("A && (B || C)", ["A", "B || C"]),
    ],
)
def test_what_has_to_be_true_is_told_in_parts(expression: str, parts: list[str]) -> None:
    assert [part.replace(" ", "") for part in conjunction(expression)] == [part.replace(" ", "") for part in parts]


def test_kconfig_files_are_read_with_their_blocks_and_inclusions(tmp_path: Path) -> None:
    found = read_kconfig(
        source(
            tmp_path / "linux",
            Kconfig='source "arch/$(SRCARCH)/Kconfig"\nsource "lib/Kconfig"\n',
            arch__x86__Kconfig="config X86\n\tdef_bool y\n",
            arch__arm__Kconfig="config ARM\n\tdef_bool y\n",
            lib__Kconfig=(
                'if NET\nmenuconfig FIRST\n\tbool "First"\n\tdepends on A && \\\n\t\tB\n\tselect HIDDEN\n'
                "\thelp\n\t  depends on NOTHING\n\n\t  config NO\n\nendif\n"
                "config HIDDEN\n\tbool\n"
                'comment "no"\n\tdepends on X\n'
                'menu "M"\n\tdepends on C\nconfig SECOND\n\ttristate "Second"\nendmenu\n'
                'config FIRST\n\tbool "First, once more"\n\tdepends on Z\n'
            ),
        ),
        "x86",
    )
    assert {*found} == {"X86", "FIRST", "HIDDEN", "SECOND"}
    first = found["FIRST"]
    assert first.depends == [["NET", "A &&  \t\tB"], ["Z"]] and first.has_prompt and first.selects == ["HIDDEN"]
    assert not found["HIDDEN"].has_prompt and found["SECOND"].depends == [["C"]]
    assert unmet(first, {"A": "y", "NET": "y"}) == ["B"]
    assert unmet(first, {"Z": "y"}) == []


def test_an_option_with_one_definition_names_all_that_is_not_met() -> None:
    option = KconfigOption("X", ["lib/Kconfig"], [["A && B", "!C"]])
    assert unmet(option, {"C": "y", "A": "y"}) == ["B", "!C"]


def test_the_options_behind_a_file_are_those_of_its_makefiles(tmp_path: Path) -> None:
    found = source(
        tmp_path / "linux",
        drivers__Makefile="obj-y += char/\nobj-$(CONFIG_NET) += net/\nobj-$(CONFIG_OTHER) += net/\n",
        drivers__net__Makefile=(
            "obj-$(CONFIG_NIC) += nic.o\nnic-y := main.o \\\n\tring.o\nnic-$(CONFIG_NIC_DEBUG) += trace.o\n"
        ),
        drivers__net__ring_c="",
        drivers__char__Makefile="obj-y += mem.o\n",
    ).path
    assert ways_to_compile(found, "drivers/char/mem.c") == [frozenset()]
    assert {*ways_to_compile(found, "drivers/net/ring.c")} == {
        frozenset({"CONFIG_NIC", "CONFIG_NET"}),
        frozenset({"CONFIG_NIC", "CONFIG_OTHER"}),
    }
    assert all("CONFIG_NIC_DEBUG" in way for way in ways_to_compile(found, "drivers/net/trace.c"))
    assert ways_to_compile(found, "drivers/net/unknown.c") == []


def test_exports_are_found_in_the_sources_of_one_architecture(tmp_path: Path) -> None:
    found = exporting_files(
        source(
            tmp_path / "linux",
            **{
                "lib__one.c": "EXPORT_SYMBOL(first);\nEXPORT_SYMBOL_GPL( second );\nEXPORT_SYMBOL_NS_GPL(third, NS);\n",
                "lib__two.c": "EXPORT_SYMBOL(first);\nEXPORT_TRACEPOINT_SYMBOL(seen);\nEXPORT_PER_CPU_SYMBOL(mine);\n",
                "arch__arm__three.c": "EXPORT_SYMBOL(foreign);\n",
            },
        ),
        "x86",
    )
    assert found["first"] == ["lib/one.c", "lib/two.c"]
    assert found["second"] == found["third"] == ["lib/one.c"]
    assert found["__tracepoint_seen"] == found["mine"] == ["lib/two.c"]
    assert "foreign" not in found


def test_a_directory_that_is_no_source_of_a_kernel_is_told(tmp_path: Path) -> None:
    (tmp_path / "inner/scripts").mkdir(parents=True)
    (tmp_path / "inner/scripts/Kbuild.include").touch()
    with pytest.raises(UsageError, match="not the sources of a kernel") as failed:
        read_source(tmp_path, "")
    assert str(tmp_path / "inner") in failed.value.hint


def recipe(place: Path, *sets: str, more: dict[str, str] | None = None, name: str = "") -> KernelRecipe:
    return KernelRecipe(source(place), Toolchain(X86_64), read_option_sets(sets), more or {}, None, name)


def test_a_kernel_is_called_by_its_version_and_its_sets(tmp_path: Path) -> None:
    place = tmp_path / "linux"
    assert recipe(place).release == "6.9.3-rc1-small"
    assert recipe(place, "lockdep", "kasan", "kasan").release == "6.9.3-rc1-kasan-lockdep"
    assert recipe(place, "kasan", name="mine").release == "6.9.3-rc1-mine"


def test_other_options_have_another_name_and_digest(tmp_path: Path) -> None:
    place = tmp_path / "linux"
    usual, other = recipe(place, "kasan"), recipe(place, "kasan", more={"X": "y"})
    assert other.release.startswith(f"{usual.release}-") and other.digest != usual.digest
    assert recipe(place, "kasan", more={"X": "y"}).digest == other.digest
    assert recipe(place, "kasan", more={"X": "m"}).release != other.release


def test_a_release_is_never_longer_than_a_kernel_takes(tmp_path: Path) -> None:
    names = [name for name in option_set_names() if name not in {"kcsan", "kmsan"}]
    assert len(recipe(tmp_path / "linux", *names, more={"X": "y"}).release) <= 64


def test_more_options_come_before_those_of_the_sets(tmp_path: Path) -> None:
    found = recipe(tmp_path / "linux", "kasan", more={"KASAN_INLINE": "n", "SMP": "n"}).options
    assert (found["KASAN_INLINE"], found["SMP"], found["KASAN"]) == ("n", "n", "y")
    assert base_options("x86")["SMP"] == "y"


@pytest.mark.parametrize("name", ["amd64", "x86_64"])
def test_a_machine_has_several_names(name: str) -> None:
    assert toolchain_of(name, "", ()).machine is X86_64


def test_a_machine_without_a_base_is_told() -> None:
    with pytest.raises(UsageError, match="mips: small kernels are known for"):
        toolchain_of("mips", "", ())
    with pytest.raises(UsageError, match="no such architecture"):
        toolchain_of("vax", "", ())


def test_a_set_that_needs_clang_says_so() -> None:
    with pytest.raises(UsageError, match="--with kmsan needs clang"):
        toolchain_of("", "", read_option_sets(["kmsan"]))
    assert toolchain_of("", "-16", read_option_sets(["kmsan"])).compiler == "clang-16"


def built(place: Path, release: str, of: Path) -> Path:
    """A kernel tree that is only as real as a list of kernels needs, built of the sources `of`."""
    objects = fake_tree(
        place / f"kernels/usr/src/linux-headers-{release}", release, config="CONFIG_X86=y\nCONFIG_64BIT=y\n"
    )
    (objects / BUILT_NOTE).write_text(json.dumps({"sets": ["kasan"], "source_path": str(of)}))
    return objects


def test_built_kernels_are_no_fetched_ones(tmp_path: Path) -> None:
    built(tmp_path / "cache", "6.9.3-kasan", tmp_path)
    fake_tree(
        tmp_path / "cache/kernels/usr/src/linux-headers-6.1.0-1-amd64",
        "6.1.0-1-amd64",
        config="CONFIG_X86=y\nCONFIG_64BIT=y\n",
    )
    assert [tree.release for tree in fetched_trees().trees] == ["6.1.0-1-amd64"]
    assert [tree.release for tree in built_trees().trees] == ["6.9.3-kasan"]
    for word in ("6.9.3-kasan", "6.9*", "built"):
        [found] = resolve([word], Need.TREE, root=tmp_path / "system")
        assert found.release == "6.9.3-kasan", word
    [found] = resolve(["fetched"], Need.TREE, root=tmp_path / "system")
    assert found.release == "6.1.0-1-amd64"


def test_modules_for_a_kernel_built_with_clang_are_compiled_with_it(tmp_path: Path) -> None:
    objects = built(tmp_path / "cache", "6.9.3-kmsan-llvm16", tmp_path)
    tree = open_tree(objects)
    assert (compiler_of(tree).program, cross_variables(tree, {}, {})) == ("gcc", {})
    (objects / BUILT_NOTE).write_text(json.dumps({"make": ["ARCH=x86_64", "LLVM=-16", "nonsense", 7]}))
    assert compiler_of(tree).program == "clang-16"
    assert cross_variables(tree, {}, {})["LLVM"] == "-16"
    assert cross_variables(tree, {"LLVM": "1"}, {}) == cross_variables(tree, {}, {"CC": "gcc"}) == {}


def test_sources_that_no_kernel_needs_are_removed(tmp_path: Path) -> None:
    needed, other = (sources_root() / name for name in ("linux-source-6.9_1", "linux-source-6.9_0"))
    for path in (needed, other):
        path.mkdir(parents=True)
    built(tmp_path / "cache", "6.9.3-kasan", needed)
    unfinished = tmp_path / "cache/kernels/usr/src/.building-6.9.3-lockdep"
    unfinished.mkdir()
    assert remove_unneeded_sources() == []
    unfinished.rmdir()
    assert remove_unneeded_sources() == [other]
    assert needed.is_dir() and not other.exists()


def test_the_newest_sources_that_are_here_are_the_default(tmp_path: Path) -> None:
    for line in ("6.9", "6.12"):
        source(
            sources_root() / f"linux-source-{line}_1", Makefile=f"VERSION = 6\nPATCHLEVEL = {line[2:]}\nSUBLEVEL = 0\n"
        )
    assert find_source("", tell=print).version == "6.12.0"
    assert find_source("6.9", tell=print).version == "6.9.0"


def test_missing_programs_are_told_before_sources_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "linux-6.9.tar.xz").write_bytes(b"of 130 MB")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    told: list[str] = []
    with pytest.raises(KbuildError, match=r"a kernel cannot be built without .*flex .*xz-utils") as caught:
        recipe_of(Wanted(str(tmp_path / "linux-6.9.tar.xz"), sets=["signed"]), tell=told.append)
    assert "openssl" in caught.value.message and told == []


def test_headers_that_a_set_takes_are_told_and_found_where_the_compiler_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for header in ("gelf.h", "stdio.h"):
        (tmp_path / "usual" / header).parent.mkdir(exist_ok=True)
        (tmp_path / "usual" / header).touch()
    (tmp_path / "more/elfutils").mkdir(parents=True)
    for header in ("dwarf.h", "elfutils/libdwfl.h"):
        (tmp_path / "more" / header).touch()
    monkeypatch.setattr(requirements, "_INCLUDES", (str(tmp_path / "usual"),))
    monkeypatch.setattr(requirements, "PROGRAMS", {})
    monkeypatch.setattr(requirements, "_compilers", lambda toolchain: ())
    require_programs(Toolchain(X86_64), {})
    with pytest.raises(KbuildError, match="a kernel cannot be built without libdw-dev"):
        require_programs(Toolchain(X86_64), {"GENDWARFKSYMS": "y"})
    monkeypatch.setenv("C_INCLUDE_PATH", str(tmp_path / "more"))
    require_programs(Toolchain(X86_64), {"GENDWARFKSYMS": "y"})


def test_plugins_of_gcc_take_its_headers_and_a_compiler_of_cpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PROGRAMS", {})
    monkeypatch.setattr(requirements, "HEADERS", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    options = {"GCC_PLUGINS": "y"}
    for name in ("gcc", "aarch64-linux-gnu-gcc", "clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy"):
        answers = f"case $1 in -print-file-name=plugin) echo {tmp_path}/{name}.d ;; -dumpversion) echo 12.2.0 ;; esac"
        (tmp_path / name).write_text(f"#!/bin/sh\n{answers}\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(KbuildError, match=r"cannot be built without g\+\+ gcc-12-plugin-dev\n"):
        require_programs(Toolchain(X86_64), options)
    (tmp_path / "g++").symlink_to("gcc")
    with pytest.raises(KbuildError, match=r"cannot be built without gcc-12-plugin-dev-aarch64-linux-gnu\n"):
        require_programs(Toolchain(ARM64), options)
    (tmp_path / "gcc.d/include").mkdir(parents=True)
    (tmp_path / "gcc.d/include/plugin-version.h").touch()
    require_programs(Toolchain(X86_64), options)
    require_programs(Toolchain(X86_64), {})
    (tmp_path / "g++").unlink()
    require_programs(Toolchain(X86_64, llvm="1"), options)


@pytest.mark.parametrize(
    ("awk", "listed", "script", "refused"),
    [
        ("mawk 1.3.4", '"day.blacklist"', True, True),
        ("GNU Awk 5.2.1", '"day.blacklist"', True, False),
        ("mawk 1.3.4", '""', True, False),
        ("mawk 1.3.4", '"day.blacklist"', False, False),
    ],
)
def test_a_list_of_revoked_digests_takes_gnu_awk(
    awk: str, listed: str, script: bool, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tmp_path / "linux", more={"SYSTEM_BLACKLIST_HASH_LIST": listed})
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "awk").write_text(f"#!/bin/sh\necho '{awk}'\n")
    (programs / "awk").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(requirements, "require_programs", lambda *_: None)
    if script:
        (tmp_path / "linux/certs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "linux/certs/check-blacklist-hashes.awk").touch()
    if refused:
        gawk = shutil.which("gawk")
        with pytest.raises(KbuildError, match="without gawk as awk") as error:
            require_tools(wanted)
        assert error.value.hint == (f"update-alternatives --set awk {gawk}" if gawk else install_hint("gawk"))
        (programs / "gawk").write_text("")
        (programs / "gawk").chmod(0o755)
        with pytest.raises(KbuildError) as error:
            require_tools(wanted)
        assert error.value.hint == f"update-alternatives --set awk {programs}/gawk"
    else:
        require_tools(wanted)

# SPDX-License-Identifier: GPL-2.0-only
"""What is told to somebody whose build fails for a reason that the compiler's and modpost's own words do not give."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import errors, kbuildpy, make
from tests.support.edits import edit
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import private_tree, tree_of, usual_tree

pytestmark = pytest.mark.parity

GOOD = {"Kbuild": "obj-m := good.o\n", "good.c": module()}


def build(place: Path, *words: str | Path, tree: KernelTree | Path, env: dict[str, str] | None = None) -> Completed:
    """Build `place` for a tree; the run prints no traceback."""
    kernel = tree.objects if isinstance(tree, KernelTree) else tree
    done = kbuildpy("build", place, "-k", kernel, *words, env=env)
    assert "Traceback" not in done.error_text
    return done


def test_the_kernels_own_symvers_as_an_extra_one_is_one_sentence(tmp_path: Path) -> None:
    tree, place = usual_tree(), tmp_path / "module"
    write_sources(GOOD, place)
    variable = f"KBUILD_EXTRA_SYMBOLS={tree.symvers}"
    oracle = make(tree, place, [variable])
    assert oracle.returncode != 0, "make builds with it, so should we"
    assert len(errors(oracle.error_text)) > 10_000
    make(tree, place, goal="clean")
    done = build(place, variable, tree=tree)
    assert done.returncode == 1
    assert len(done.error_text.splitlines()) < 10
    assert f"{variable}: symbols of the kernel itself, which Kbuild knows" in done.error_text
    assert "remove it: KBUILD_EXTRA_SYMBOLS is for" in done.error_text
    # A copy of it says the same.
    copy = shutil.copy(tree.symvers, tmp_path / "copied.symvers")
    done = build(place, f"KBUILD_EXTRA_SYMBOLS={copy}", tree=tree)
    assert "copied.symvers: symbols of the kernel itself" in done.error_text


def test_a_relative_name_of_an_extra_symvers_is_to_be_absolute(tmp_path: Path) -> None:
    tree, place = usual_tree(), tmp_path / "module"
    write_sources({**GOOD, "../other/Module.symvers": ""}, place)
    done = build(place, "KBUILD_EXTRA_SYMBOLS=../other/Module.symvers", tree=tree)
    assert done.returncode == 1
    assert "KBUILD_EXTRA_SYMBOLS=../other/Module.symvers: no such file in" in done.error_text
    meant = tmp_path / "other/Module.symvers"
    assert f"give an absolute one: KBUILD_EXTRA_SYMBOLS={meant}\n" in done.error_text
    assert build(place, f"KBUILD_EXTRA_SYMBOLS={meant}", tree=tree).returncode == 0
    # The kernel tree has one of this name.
    done = build(place, "KBUILD_EXTRA_SYMBOLS=Module.symvers", tree=tree)
    assert "symbols of the kernel itself" in done.error_text
    assert "give an absolute one" in done.error_text


def test_quotes_around_an_imported_namespace_are_told_from_a_missing_import(tmp_path: Path) -> None:
    tree, place = tree_of("6.1"), tmp_path / "module"
    line = next(line for line in tree.symvers.read_text().splitlines() if line.split("\t")[4])
    symbol, namespace = line.split("\t")[1], line.split("\t")[4]
    uses = f"extern int {symbol}(void); int user(void); int user(void) {{ return {symbol}(); }}\n"
    quoted = f'{uses}MODULE_IMPORT_NS("{namespace}");\n'
    write_sources({**GOOD, "good.c": module(quoted, header="linux/module.h")}, place)
    oracle = make(tree, place)
    assert oracle.returncode != 0
    assert f"uses symbol {symbol} from namespace {namespace}, but does not import it" in oracle.error_text
    make(tree, place, goal="clean")
    done = build(place, tree=tree)
    assert done.returncode == 1
    assert errors(oracle.error_text) <= errors(done.error_text)
    assert f"before 6.13 write it without quotes: MODULE_IMPORT_NS({namespace})" in done.error_text
    # The loader's check says so as well, of a module that a more tolerant kernel tree has let pass.
    tolerant = private_tree(tree, tmp_path / "tree")
    with (tolerant / "include/config/auto.conf").open("a") as conf:
        conf.write("CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS=y\n")
    done = build(place, tree=tolerant)
    assert done.returncode == 0, done.error_text
    assert "without quotes" in done.error_text
    checked = kbuildpy("check", place / "build" / tree.release / "good.ko", "-k", tree.objects)
    assert checked.returncode == 1
    assert f"before 6.13 write MODULE_IMPORT_NS({namespace})" in checked.text
    write_sources({"good.c": module(quoted.replace('"', ""), header="linux/module.h")}, place)
    mended = build(place, tree=tree)
    assert mended.returncode == 0, mended.error_text
    assert "without quotes" not in mended.error_text


def test_a_program_of_the_kernel_tree_that_is_missing_is_told_with_what_brings_it(tmp_path: Path) -> None:
    tree, place = usual_tree(), tmp_path / "module"
    write_sources(GOOD, place)
    kdir = private_tree(tree, tmp_path / "tree")
    kbuild = tmp_path / "linux-kbuild-6.1"
    shutil.copytree((kdir / "tools").resolve(), kbuild / "tools", symlinks=True)
    (kdir / "tools").unlink()
    (kdir / "tools").symlink_to(kbuild / "tools")
    program = kbuild / "tools/objtool/objtool"
    for mode, said in ((0o755, "a program for "), (0o644, "permission denied"), (0, "program not found")):
        program.unlink()
        if mode:
            program.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xf3\0" + bytes(44))
            program.chmod(mode)
        done = build(place, tree=kdir)
        assert done.returncode == 1
        assert f"kbuildpy: error: {program}: {said}" in done.error_text
    assert "linux-kbuild-6.1" in done.error_text


def test_a_kernel_that_clang_built_is_told_before_gcc_fails(tmp_path: Path) -> None:
    tree, place = usual_tree(), tmp_path / "module"
    write_sources(GOOD, place)
    kdir = private_tree(tree, tmp_path / "tree")
    edit(kdir / "include/config/auto.conf", "CONFIG_CC_IS_GCC=y", "CONFIG_CC_IS_CLANG=y")
    done = build(place, tree=kdir)
    assert done.returncode == 1, "gcc builds for it, so there is nothing to say"
    [line] = re.findall(r"^kbuildpy: .* was built by clang, .*$", done.error_text, re.MULTILINE)
    assert line.endswith("use LLVM=1")


def test_llvm_that_is_not_installed_is_named_with_all_its_packages(tmp_path: Path) -> None:
    place = tmp_path / "module"
    write_sources(GOOD, place)
    kdir = private_tree(usual_tree(), tmp_path / "tree")
    (kdir / ".kernelvariables").unlink()  # (Debian's names its compiler, whatever LLVM= says)
    path = os.pathsep.join(_without(["clang", "ld.lld", "llvm-nm"], tmp_path / "bin"))
    done = build(place, "LLVM=1", tree=kdir, env={"PATH": path})
    assert done.returncode == 1
    assert "clang: not found; the kernel tree" in done.error_text
    assert "apt-get install clang lld llvm, or " in done.error_text
    done = build(place, "LLVM=-99", tree=kdir)
    assert "clang-99: not found" in done.error_text
    assert "apt-get install clang-99 lld-99 llvm-99, or " in done.error_text


def _without(programs: list[str], place: Path) -> list[str]:
    """A search path without `programs`: the folders of PATH, in place of those that have one a folder of links."""
    folders = []
    for number, folder in enumerate(os.environ["PATH"].split(os.pathsep)):
        if any(Path(folder, name).exists() for name in programs):
            shadow = place / str(number)
            shadow.mkdir(parents=True)
            for path in Path(folder).iterdir():
                if path.name not in programs:
                    (shadow / path.name).symlink_to(path)
            folder = str(shadow)
        folders.append(folder)
    return folders

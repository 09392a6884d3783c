# SPDX-License-Identifier: GPL-2.0-only
"""Rebuilds after a change of the kernel tree: exactly the objects that it concerns, as with Kbuild's own fixdep."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.edits import edit
from tests.support.kernel_trees import tree_of, usual_tree
from tests.support.scons_project import ALONE, HEAD, HEADER, PAIR, SYMBOL, SConsProject

pytestmark = pytest.mark.parity


def objects_of(compiled: list[str]) -> list[str]:
    """The objects of sources, without those of `.mod.c` files."""
    return [name for name in compiled if not name.endswith(".mod.o")]


def test_a_changed_kernel_header_rebuilds_exactly_the_objects_that_include_it(private: SConsProject) -> None:
    edit(private.kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n")
    assert private.build().compiled == ["pair_b.o"]
    private.assert_like_clean()
    private.assert_nothing_to_do()


def test_explain_names_the_header_the_symbol_and_the_options_that_changed(private: SConsProject) -> None:
    edit(private.kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n")
    configure(private.kdir, SYMBOL)
    said = private.scons("-n", "--debug=explain").output
    folder = next(private.place.glob("build/*/drv")).relative_to(private.place)
    assert re.search(rf"^kbuildpy: {folder}/pair_b\.o: \S+/include/{HEADER} changed$", said, re.MULTILINE)
    assert f"kbuildpy: {folder}/user.o: CONFIG_{SYMBOL} changed\n" in said
    assert f"{folder}/pair_a.o: " not in said
    said = private.scons("-n", "--debug=explain", "KCFLAGS=-DEXPLAINED").output
    rebuilt = said[said.index(f"rebuilding `{folder}/pair_a.o' because") :]
    old, new = rebuilt[rebuilt.index("old: ") :].split("new: ")[:2]
    assert "-DEXPLAINED" in new
    assert old.split()[1:3] == new.split()[:2], "the command is not what is shown"
    assert "-DEXPLAINED" not in old
    assert "object at 0x" not in said


def test_a_build_without_an_sconstruct_explains_as_well(private: SConsProject) -> None:
    words = ("build", private.place / "drv", "-k", private.kdir, "-n", "--explain")
    assert kbuildpy(*words[:4]).returncode == 0
    assert "  CC " not in kbuildpy(*words).text
    edit(private.kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n")
    edit(private.place / "drv/pair_a.c", "return", "return 0 +")
    said = kbuildpy(*words).text
    assert f"  CC [M]  pair_b.o - include/{HEADER} changed\n" in said
    assert re.search(r"^  CC \[M\]  pair_a\.o - \S*pair_a\.c changed$", said, re.MULTILINE)
    assert "user.o" not in said


@pytest.mark.sweep
def test_a_kernel_header_put_back_to_an_older_one_counts_as_changed(private: SConsProject) -> None:
    header = private.kdir.parent / "source/include" / HEADER
    edit(header, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\nextern int newer;")
    private.build()
    header.unlink()
    # A package brings its files with the times that they had on the builder's disk.
    shutil.copy2(usual_tree().source / "include" / HEADER, header)
    assert private.build().compiled == ["pair_b.o"]
    private.assert_like_clean()


def test_a_kernel_header_put_back_counts_even_when_the_index_is_lost(private: SConsProject) -> None:
    header = private.kdir.parent / "source/include" / HEADER
    edit(header, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\nextern int newer;")
    private.build()
    header.unlink()
    shutil.copy2(usual_tree().source / "include" / HEADER, header)
    for path in private.place.rglob(".kbuildpy/index.json"):
        path.unlink()
    assert "pair_b.o" in private.build().compiled
    private.assert_nothing_to_do()


def test_a_kernel_header_that_vanished_is_the_compilers_error(private: SConsProject) -> None:
    (private.kdir.parent / "source/include" / HEADER).unlink()
    assert f"{HEADER}: No such file or directory" in private.scons(status=2).output


def test_a_changed_symbol_rebuilds_exactly_the_objects_that_mention_it(private: SConsProject) -> None:
    configure(private.kdir, SYMBOL)
    assert objects_of(private.build().compiled) == ["user.o"]
    private.assert_like_clean()
    private.assert_nothing_to_do()


def test_a_changed_symbol_rebuilds_the_objects_whose_kernel_headers_mention_it(private: SConsProject) -> None:
    header = private.kdir.parent / "source/include" / HEADER
    edit(header, "#define _LINUX_CISCODE_H", "#ifdef CONFIG_OF_A_HEADER\n#endif\n#define _LINUX_CISCODE_H")
    private.build()
    configure(private.kdir, "OF_A_HEADER")
    assert objects_of(private.build().compiled) == ["pair_b.o"]
    private.assert_like_clean()


@pytest.mark.sweep
def test_a_symbol_that_nobody_mentions_rebuilds_nothing(private: SConsProject) -> None:
    configure(private.kdir, "MENTIONED_BY_NOBODY")
    assert objects_of(private.build().compiled) == []
    private.assert_like_clean()
    private.assert_nothing_to_do()


def test_a_symbol_that_chooses_an_object_in_the_kbuild_file_does(private: SConsProject) -> None:
    private.edit("drv/Kbuild", "pair-y :=", "pair-$(CONFIG_CHOOSES) += pair_c.o\npair-y +=")
    private.write("drv/pair_c.c", "int pair_third(void);\nint pair_third(void) { return 3; }\n")
    private.build()
    configure(private.kdir, "CHOOSES")
    assert objects_of(private.build().compiled) == ["pair_c.o"]
    private.assert_like_clean()


def test_changed_symvers_of_the_tree_give_modules_the_new_crcs(private: SConsProject) -> None:
    symvers = private.kdir / "Module.symvers"
    line = next(line for line in symvers.read_text().splitlines() if "\tmodule_layout\t" in line)
    edit(symvers, line, "0x12345678" + line[10:])
    assert private.build().compiled == ["pair.mod.o", "user.mod.o"]
    assert "0x12345678" in private.output("user.mod.c").read_text()
    private.assert_like_clean()
    private.assert_nothing_to_do()


def test_a_changed_linker_script_of_the_tree_links_again(private: SConsProject) -> None:
    script = private.kdir / "arch/x86/module.lds"
    script.write_text(script.read_text() + "\n")
    assert private.build().did == ["LD [M]  pair.ko", "LD [M]  user.ko"]
    private.assert_nothing_to_do()


def test_a_changed_makefile_of_the_tree_is_read_again(private: SConsProject) -> None:
    makefile = private.kdir.parent / "source/Makefile"
    makefile.write_text(makefile.read_text() + "\nKBUILD_CFLAGS += -DEVERYWHERE\n")
    assert objects_of(private.build().compiled) == ["pair_a.o", "pair_b.o", "user.o"]
    private.assert_like_clean()


def test_changed_helper_programs_of_the_tree_rebuild_what_they_work_on(private: SConsProject) -> None:
    scripts = private.kdir / "scripts"
    original = scripts.resolve()
    scripts.unlink()
    shutil.copytree(original, scripts, symlinks=True)
    private.build()
    private.assert_nothing_to_do()
    genksyms = scripts / "genksyms/genksyms"
    shutil.copy(genksyms, f"{genksyms}.real")
    genksyms.unlink()
    genksyms.write_text('#!/bin/sh\n"$0.real" "$@" | sed "s/0x[0-9a-f]*/0x87654321/"\n')
    genksyms.chmod(0o755)
    private.build()
    assert "0x87654321" in private.output("Module.symvers").read_text()
    private.assert_like_clean()


def test_two_kernel_trees_are_built_side_by_side(tmp_path: Path) -> None:
    old, new = tree_of("6.1"), tree_of("6.12")
    text = f"{HEAD}for kdir in {[str(old.objects), str(new.objects)]}:\n    env.Kbuild('drv', KDIR=kdir)\n"
    project = SConsProject(tmp_path / "project", old.objects, PAIR | {"SConstruct": text})
    project.build()
    both = [name for name in project.outputs() if name.endswith("user.ko")]
    assert both == [f"build/{tree.release}/drv/user.ko" for tree in sorted((old, new), key=lambda tree: tree.release)]
    project.assert_nothing_to_do()
    project.edit("drv/pair_b.c", "return 2", "return 3")
    assert project.build().compiled == ["pair.mod.o", "pair.mod.o", "pair_b.o", "pair_b.o"]
    project.assert_like_clean()


def test_another_kernel_tree_has_a_build_directory_of_its_own(tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", usual_tree().objects, ALONE)
    project.build()
    before = project.outputs()
    project.build(f"KDIR={tree_of('6.12').objects}")
    assert {name: project.outputs()[name] for name in before} == before
    project.assert_nothing_to_do()


def configure(kdir: Path, symbol: str) -> None:
    """Set CONFIG_`symbol`=y in a tree, as syncconfig would."""
    for name, line in (
        ("include/generated/autoconf.h", "#define CONFIG_{} 1"),
        ("include/config/auto.conf", "CONFIG_{}=y"),
    ):
        path = kdir / name
        text = path.read_text()
        path.unlink()
        path.write_text(f"{text}{line.format(symbol)}\n")

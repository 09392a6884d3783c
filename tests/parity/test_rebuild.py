# SPDX-License-Identifier: GPL-2.0-only
"""Rebuilds: after any change, what runs is what must, and the result is a clean build's, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edits import edit
from tests.support.guest_kernels import one_of
from tests.support.kernel_trees import swept, tree_of, usual_tree
from tests.support.scons_project import ALONE, HEAD, SConsProject

pytestmark = pytest.mark.parity

# What stands between a changed object and its module, for either module of the project.
USER = ["CC [M]  user.mod.o", "LD [M]  user.ko"]
PAIR = ["CC [M]  pair.mod.o", "LD [M]  pair.ko", "LD [M]  pair.o"]


@pytest.mark.parametrize("line", one_of("6.1", "6.12"))
def test_nothing_runs_right_after_the_first_build_and_once_more(line: str, tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", tree_of(line).objects, ALONE)
    project.build()
    project.assert_nothing_to_do()
    project.assert_nothing_to_do()


def test_a_touched_source_and_header_relink_nothing(pair: SConsProject) -> None:
    before = pair.outputs()
    for name in ("drv/pair_a.c", "drv/pair.h", "drv/Kbuild"):
        (pair.place / name).touch()
    assert pair.build().did == []
    assert pair.outputs() == before
    pair.assert_nothing_to_do()


def test_a_changed_source_rebuilds_its_object_and_its_module_alone(pair: SConsProject) -> None:
    pair.edit("drv/pair_b.c", "return 2", "return 3")
    # srcversion is in pair.mod.c; user.ko does not care.
    assert pair.build().did == sorted(["CC [M]  pair_b.o", "MODPOST Module.symvers", *PAIR])
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_changed_exporter_gives_its_user_the_new_crc(pair: SConsProject) -> None:
    before = pair.outputs()
    pair.edit("drv/pair.h", "int pair_value(void)", "unsigned int pair_value(void)")
    pair.edit("drv/pair_a.c", "int pair_value(void)", "unsigned int pair_value(void)")
    assert pair.build().compiled == ["pair.mod.o", "pair_a.o", "user.mod.o", "user.o"]
    name = next(name for name in before if name.endswith("user.mod.c"))
    assert pair.outputs()[name] != before[name]
    pair.assert_like_clean()


def test_a_change_that_no_object_shows_changes_srcversion(pair: SConsProject) -> None:
    before = pair.outputs()
    pair.edit("drv/user.c", "not compiled", "never compiled")
    pair.build()
    pair.assert_like_clean()
    changed = {Path(name).name for name, content in pair.outputs().items() if before[name] != content}
    assert changed == {".user.o.cmd", "user.mod.c", "user.mod.o", "user.ko"}


def test_a_changed_comment_links_nothing(pair: SConsProject) -> None:
    pair.edit("drv/pair_b.c", "int pair_other(void);", "int pair_other(void); /* declared */")
    # Neither the code nor the srcversion changes, so nothing after the object does.
    did = pair.build().did
    assert "CC [M]  pair_b.o" in did
    assert not [line for line in did if ".ko" in line or ".mod.o" in line]
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_changed_header_rebuilds_exactly_the_objects_that_include_it(pair: SConsProject) -> None:
    pair.edit("drv/pair.h", "PAIR 1", "PAIR 2")
    assert pair.build().compiled == ["pair.mod.o", "pair_a.o", "user.mod.o", "user.o"]
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_headers_are_known_right_after_the_first_build(tmp_path: Path) -> None:
    files = ALONE | {
        "alone.c": '#include <linux/module.h>\n#define NAME "found.h"\n#include NAME\nMODULE_LICENSE("GPL");\n',
        "found.h": "",
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    project.assert_nothing_to_do()


def test_headers_are_found_wherever_they_are_included_from(tmp_path: Path) -> None:
    files = {
        "SConstruct": f"{HEAD}env.Kbuild('drv')\n",
        "drv/Kbuild": (
            "obj-m := far.o\nfar-y := by_macro.o by_folder.o beside.o plain.o\nccflags-y := -I$(src)/include\n"
        ),
        "drv/by_macro.c": '#define NAME "macro.h"\n#include NAME\nint by_macro = MACRO;\n',
        "drv/macro.h": "#define MACRO 1\n",
        "drv/by_folder.c": "#include <folder.h>\nint by_folder = FOLDER;\n",
        "drv/include/folder.h": '#include "nested.h"\n#define FOLDER NESTED\n',
        "drv/include/nested.h": "#define NESTED 1\n",
        "drv/beside.c": '#include "../common/beside.h"\nint beside = BESIDE;\n',
        "common/beside.h": "#define BESIDE 1\n",
        "drv/plain.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n',
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    for header, word, made in (
        ("drv/macro.h", "MACRO 1", "by_macro.o"),
        ("drv/include/nested.h", "NESTED 1", "by_folder.o"),
        ("common/beside.h", "BESIDE 1", "beside.o"),
    ):
        project.edit(header, word, word.replace("1", "2"))
        assert [name for name in project.build().compiled if name != "far.mod.o"] == [made], header
    project.assert_like_clean()
    project.assert_nothing_to_do()


def test_a_header_that_vanished_with_its_include_is_no_error(pair: SConsProject) -> None:
    pair.edit("drv/user.c", '#include "pair.h"\n', "int pair_value(void);\n")
    pair.edit("drv/pair_a.c", '#include "pair.h"\n', "int pair_value(void);\n#define PAIR 1\n")
    (pair.place / "drv/pair.h").unlink()
    assert "CC [M]  user.o" in pair.build().did
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_header_that_vanished_is_the_compilers_error(pair: SConsProject) -> None:
    (pair.place / "drv/pair.h").unlink()
    assert "fatal error: pair.h: No such file or directory" in pair.scons(status=2).output


def test_a_header_that_comes_to_shadow_another_counts(tmp_path: Path) -> None:
    files = ALONE | {
        "SConstruct": f"{HEAD}env.KernelModule('alone', ['alone.c'], CPPPATH=['first', 'second'])\n",
        "alone.c": '#include <linux/module.h>\n#include <which.h>\nint which = WHICH;\nMODULE_LICENSE("GPL");\n',
        "first/other.h": "",
        "second/which.h": "#define WHICH 2\n",
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    project.write("first/which.h", "#define WHICH 1\n")
    project.edit("second/which.h", "2", "3")
    assert "alone.o" in project.build().compiled
    project.assert_like_clean()
    project.assert_nothing_to_do()


def test_a_removed_source_is_an_error_that_names_it(pair: SConsProject) -> None:
    (pair.place / "drv/pair_b.c").unlink()
    failed = pair.scons(status=2)
    assert "pair_b" in failed.output
    pair.write("drv/pair_b.c", "int pair_other(void);\nint pair_other(void) { return 2; }\n")
    pair.build()
    pair.assert_like_clean()


def test_a_c_source_replaced_by_assembly_is_assembled(pair: SConsProject) -> None:
    (pair.place / "drv/pair_b.c").unlink()
    pair.write("drv/pair_b.S", ".globl pair_other\npair_other:\n\txorl %eax, %eax\n\tret\n")
    assert "AS [M]  pair_b.o" in pair.build().did
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_source_added_to_the_kbuild_file_is_linked(pair: SConsProject) -> None:
    pair.write("drv/pair_c.c", "int pair_third(void);\nint pair_third(void) { return 3; }\n")
    pair.edit("drv/Kbuild", "pair_b.o", "pair_b.o pair_c.o")
    assert pair.build().compiled == ["pair.mod.o", "pair_c.o"]
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_module_taken_out_of_the_kbuild_file_is_listed_no_more(pair: SConsProject) -> None:
    pair.edit("drv/Kbuild", "pair.o user.o", "pair.o")
    did = pair.build().did
    assert not [line for line in did if line.startswith("CC")]
    clean = pair.clean_outputs()
    ours = pair.outputs()
    assert {name: ours[name] for name in clean} == clean
    assert "user" not in pair.output("modules.order").read_text()
    pair.assert_nothing_to_do()


def test_a_module_added_to_the_kbuild_file_is_built(pair: SConsProject) -> None:
    pair.write("drv/third.c", '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n')
    pair.edit("drv/Kbuild", "pair.o user.o", "pair.o user.o third.o")
    assert pair.build().compiled == ["third.mod.o", "third.o"]
    pair.assert_like_clean()


@pytest.mark.parametrize("name", ["ccflags-y", *swept("KCFLAGS", "CFLAGS_pair_b.o")])
def test_changed_flags_rebuild_what_they_are_for(pair: SConsProject, name: str) -> None:
    flag = "-DCHANGED"
    words = []
    if name == "KCFLAGS":
        words.append(f"KCFLAGS={flag}")
    else:
        pair.edit("drv/Kbuild", "pair-y", f"{name} := {flag}\npair-y")
    compiled = pair.build(*words).compiled
    own = ["pair_a.o", "pair_b.o", "user.o"] if name != "CFLAGS_pair_b.o" else ["pair_b.o"]
    assert [item for item in compiled if not item.endswith(".mod.o")] == own
    pair.assert_like_clean(*words)
    pair.assert_nothing_to_do(*words)


def test_changed_flags_of_a_declared_module_rebuild_its_objects_alone(tmp_path: Path) -> None:
    files = ALONE | {
        "SConstruct": f"{HEAD}env.KernelModule('alone', ['alone.c'], CCFLAGS=['-DA=1'])\nenv.KernelModule('other')\n",
        "other.c": ALONE["alone.c"],
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    project.edit("SConstruct", "-DA=1", "-DA=2")
    assert "other.o" not in project.build().compiled
    project.assert_like_clean()
    project.assert_nothing_to_do()


@pytest.mark.parametrize(
    "name",
    [
        "pair.mod.c",
        "pair.mod.o",
        "pair.ko",
        "pair.o",
        "pair_a.o",
        ".pair_a.o.cmd",
        "Module.symvers",
        "modules.order",
    ],
)
def test_a_deleted_output_is_made_again(pair: SConsProject, name: str) -> None:
    before = pair.outputs()
    pair.output(name).unlink()
    compiled = pair.build().compiled
    assert pair.outputs() == before
    if not name.endswith("_a.o.cmd"):
        assert "user.o" not in compiled
    pair.assert_nothing_to_do()


def test_a_deleted_index_of_kbuildpys_costs_nothing(pair: SConsProject) -> None:
    before = pair.outputs()
    for path in pair.place.rglob(".kbuildpy/*"):
        path.unlink()
    assert pair.build().did == []
    assert pair.outputs() == before
    pair.assert_nothing_to_do()


def test_a_damaged_index_of_kbuildpys_costs_nothing(pair: SConsProject) -> None:
    before = pair.outputs()
    for path in pair.place.rglob(".kbuildpy/*.json"):
        path.write_text('{"format": 4, "key": "')
    assert pair.build().did == []
    assert pair.outputs() == before
    pair.assert_nothing_to_do()


def test_everything_is_made_again_on_demand(pair: SConsProject) -> None:
    before, listing = pair.outputs(), pair.listing()
    pair.scons("-c")
    pair.build("--config=force")
    assert pair.outputs() == before
    assert not [name for name in before if pair.listing()[name] == listing[name]]


def test_a_changed_compiler_rebuilds_everything(tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", usual_tree().objects, ALONE)
    wrapper = tmp_path / "wrapped-gcc"
    wrapper.write_text('#!/bin/sh\nexec gcc-12 "$@"\n')
    wrapper.chmod(0o755)
    words = [f"CC={wrapper}"]
    project.build(*words)
    project.assert_nothing_to_do(*words)
    edit(wrapper, 'gcc-12 "$@"', 'gcc-12 "$@" -DWRAPPED')
    wrapper.chmod(0o755)
    # It says the same version, yet it is another compiler.
    assert project.build(*words).compiled == ["alone.mod.o", "alone.o"]
    project.assert_like_clean(*words)
    project.assert_nothing_to_do(*words)


@pytest.mark.parametrize("include", ['#define NAME "late.h"\n#include NAME', *swept('#include "late.h"')])
def test_a_header_saved_while_its_object_is_compiled_is_noticed(include: str, tmp_path: Path) -> None:
    files = ALONE | {
        "alone.c": f'#include <linux/module.h>\n{include}\nint late = LATE;\nMODULE_LICENSE("GPL");\n',
        "late.h": "#define LATE 1\n",
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    wrapper = tmp_path / "slow-gcc"
    # It changes the header once it has read it, as an editor might.
    late = f'*"/alone.o "*) sed "s/LATE 1/LATE 2/" -i {project.place}/late.h;;'
    wrapper.write_text(f'#!/bin/sh\ngcc-12 "$@" || exit\ncase "$*" in {late} esac\n')
    wrapper.chmod(0o755)
    words = [f"CC={wrapper}"]
    project.build(*words)
    assert "alone.o" in project.build(*words).compiled
    project.assert_like_clean(*words)

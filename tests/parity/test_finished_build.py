# SPDX-License-Identifier: GPL-2.0-only
"""A build with nothing to do is told from its note alone, and never where the graph would find something to do.

The oracle is the graph: after each edit, a build without the note must find nothing that the one before left undone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.finished_build import FinishedBuild, is_unchanged
from kbuildpy.run import run
from tests.support.edits import edit
from tests.support.kernel_trees import private_tree, trees, usual_tree
from tests.support.scons_project import HEADER

pytestmark = pytest.mark.parity

A_C = '#include <linux/module.h>\n#include "a.h"\nint a(void) { return A; }\nMODULE_LICENSE("GPL");\n'
B_C = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("b");\n'
FILES = {
    "Kbuild": "obj-m := a.o sub/\nKBUILD_EXTRA_SYMBOLS := $(src)/other.symvers\n",
    "a.c": A_C.replace('"a.h"\n', f'"a.h"\n#include <{HEADER}>\n'),
    "a.h": "#define A 1\n",
    "sub/Makefile": "obj-m += b.o\n",
    "sub/b.c": B_C,
    "other.symvers": "0x12345678\tother\tother\tEXPORT_SYMBOL_GPL\t\n",
    "notes.txt": "no source\n",
}
OPTIONAL = f"{FILES['Kbuild']}-include $(src)/more.mk\n"
ASKING = "obj-m := a.o sub/\nccflags-y := $(if $(wildcard $(src)/wanted),-DWANTED,$(shell echo -DA_WORD))\n"

# The command as a user calls it; the last line of standard output tells whether the graph was asked.
PROGRAM = (
    "import atexit, sys\n"
    "from kbuildpy.__main__ import run\n"
    "status = run()\n"
    "print('graph' if 'SCons' in sys.modules else 'note', file=sys.__stdout__)\n"
    "sys.exit(status)\n"
)


class Project:
    """A module directory, and the calls of `kbuildpy build` for it."""

    def __init__(self, place: Path, kdir: Path, *words: str, files: dict[str, str] = FILES) -> None:
        self.place = place
        self.kdir = kdir
        self.words = words
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)

    def build(self, *more: str, env: dict[str, str] | None = None) -> Built:
        words: list[str | Path] = ["build", self.place, "-k", self.kdir, *self.words, *more]
        done = run([sys.executable, "-c", PROGRAM, *words], env=env, check=False)
        return Built(done)

    @property
    def notes(self) -> list[Path]:
        return list((self.place / "build/.kbuildpy").glob("finished-*"))

    def is_finished(self, env: dict[str, str] | None = None) -> None:
        """Build until only the note is asked."""
        for _ in range(4):
            time.sleep(0.03)  # (a note is of files that did not change while the build ran)
            if self.build(env=env).asked == "note":
                return
        raise AssertionError("the graph was asked each time")

    def assert_graph_agrees(self) -> None:
        """Nothing is left to do."""
        for note in self.notes:
            note.unlink()
        built = self.build()
        assert (built.asked, built.did) == ("graph", []), built.done.text


class Built:
    """A build as it ended."""

    def __init__(self, done: Completed) -> None:
        self.done = done
        lines = done.text.splitlines()
        self.asked = lines.pop()
        self.said = lines
        self.did = [line for line in lines if line.startswith("  ")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "drv", usual_tree().objects)
    assert made.build().did
    made.is_finished()
    return made


def change(path: Path) -> None:
    """Another content of the same size, at the same time of modification: only the time of the change tells."""
    status = path.stat()
    text = path.read_bytes()
    path.write_bytes(text[:-1] + b"\n" if text else text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_note_says_what_the_graph_says(project: Project) -> None:
    by_note = project.build()
    for note in project.notes:
        note.unlink()
    by_graph = project.build()
    assert (by_note.asked, by_graph.asked) == ("note", "graph")
    assert by_note.said == by_graph.said == [f"scons: `{project.place}' is up to date."]
    assert by_note.done.error_text == by_graph.done.error_text
    assert by_note.done.returncode == 0


def test_every_file_of_the_project_counts(project: Project) -> None:
    [note] = project.notes
    noted = json.loads(note.read_bytes().rpartition(b"\n")[0])
    below = [path for path in map(Path, noted["files"]) if path.is_relative_to(project.place)]
    assert len(below) > 20
    # (directories first: a file that is new changes its own)
    for path in sorted(below, key=Path.is_dir, reverse=True):
        alone = FinishedBuild([], {str(path): noted["files"][str(path)]}, noted["folders"], [])
        if path.is_dir() and str(path) not in noted["folders"]:
            continue
        assert is_unchanged(alone), path
        if path.is_dir():
            (path / "new").touch()
        elif path.is_file():
            change(path)
        else:
            path.touch()
        assert not is_unchanged(alone), path


def remove(name: str) -> Callable[[Project], None]:
    def removed(project: Project) -> None:
        for path in project.place.glob(name):
            path.unlink()

    return removed


def write(name: str, text: str) -> Callable[[Project], object]:
    return lambda project: (project.place / name).write_text(text)


def put_an_old_file(project: Project) -> None:
    header = project.place / "a.h"
    header.write_text("#define A 7\n")
    os.utime(header, (1, 1))


EDITS: dict[str, Callable[[Project], object]] = {
    "source": lambda project: edit(project.place / "a.c", "return A", "return A + 1"),
    "header": lambda project: edit(project.place / "a.h", "1", "2"),
    "Kbuild file": lambda project: edit(project.place / "sub/Makefile", "b.o", "b.o\nccflags-y += -DX"),
    "Kbuild beside Makefile": write("sub/Kbuild", "obj-m += b.o\nccflags-y += -DY\n"),
    "symvers": write("other.symvers", "0x12345678\tother\tother\tEXPORT_SYMBOL\t\n"),
    "module": remove("build/*/a.ko"),
    "object": remove("build/*/sub/b.o"),
    ".cmd file": remove("build/*/.a.o.cmd"),
    "an old file over the header": put_an_old_file,
    "renamed source": lambda project: (project.place / "a.c").rename(project.place / "a2.c"),
}


def test_an_edit_is_built_as_without_the_note(project: Project) -> None:
    for edited, make_it in EDITS.items():
        project.is_finished()
        make_it(project)
        built = project.build()
        assert built.asked == "graph", edited
        assert built.did or built.done.returncode, edited
        if built.done.returncode == 0:
            project.assert_graph_agrees()


def test_an_edit_that_make_does_not_see_leaves_nothing_to_do(project: Project) -> None:
    (project.place / "sub/b.S").write_text(".globl b\nb:\n")  # (Kbuild's rule for C comes first)
    assert project.build().asked == "graph"
    project.assert_graph_agrees()
    project.is_finished()
    next((project.place / "build").glob("*/modules.order")).unlink()
    assert project.build().asked == "graph"
    project.assert_graph_agrees()


def test_another_call_asks_the_graph(project: Project) -> None:
    for words in (["-K"], ["-n"], ["a.o"], ["--format", "json"], ["--compile-commands"], ["V=1"], ["KCFLAGS=-DX"]):
        assert project.build(*words).asked == "graph", words
    assert "  CC [M]  a.o" in project.build().did
    project.assert_graph_agrees()


def test_another_environment_asks_the_graph(project: Project) -> None:
    environ = {**os.environ, "KCFLAGS": "-DX"}
    assert "  CC [M]  a.o" in project.build(env=environ).did
    assert project.build(env={**os.environ, "TERM": "dumb"}).asked == "graph"  # (a.o has to be made again)
    project.is_finished()
    assert project.build(env={**os.environ, "TERM": "other"}).asked == "note"


def test_a_compiler_that_comes_first_in_the_search_path_is_seen(project: Project, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    project.build(env=environ)
    project.is_finished(environ)
    compiler = ask_tree(usual_tree(), variables={}, environ=os.environ).programs["CC"].split()[-1]
    (programs / compiler).write_text(f'#!/bin/sh\nexec {shutil.which(compiler)} "$@"\n')
    (programs / compiler).chmod(0o755)
    built = project.build(env=environ)
    assert (built.asked, "  CC [M]  a.o" in built.did) == ("graph", True)


def test_a_build_that_may_be_empty_says_nothing_of_one_that_may_not(tmp_path: Path) -> None:
    project = Project(tmp_path / "drv", usual_tree().objects, files={"Kbuild": "obj-$(CONFIG_NO_SUCH) := a.o\n"})
    assert [project.build("--allow-empty").done.returncode for _ in range(3)] == [0] * 3
    assert [project.build().done.returncode for _ in range(2)] == [1] * 2


def test_compile_commands_that_were_asked_for_once_come_back(project: Project) -> None:
    database = project.place / "compile_commands.json"
    project.build("--compile-commands")
    project.is_finished()
    before = database.read_bytes()
    database.unlink()
    assert project.build().asked == "graph"
    assert database.read_bytes() == before


def test_a_changed_tree_is_built_as_without_the_note(tmp_path: Path) -> None:
    kdir = private_tree(usual_tree(), tmp_path / "tree")
    project = Project(tmp_path / "drv", kdir)
    project.build()
    project.is_finished()
    edit(kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n")
    assert "  CC [M]  a.o" in project.build().did
    project.is_finished()
    symvers = kdir / "Module.symvers"
    edit(symvers, "\tmodule_layout\t", "\tmodule_layout2\t")
    assert project.build().asked == "graph"


def test_a_kbuild_file_that_asks_the_system_is_asked_each_time(tmp_path: Path) -> None:
    project = Project(tmp_path / "drv", usual_tree().objects, files={**FILES, "Kbuild": ASKING})
    project.build()
    project.is_finished()
    (project.place / "wanted").touch()
    built = project.build()
    assert (built.asked, "  CC [M]  a.o" in built.did) == ("graph", True)
    project.is_finished()
    (project.place / "wanted").unlink()
    assert "  CC [M]  a.o" in project.build().did
    project.assert_graph_agrees()


def test_a_makefile_that_was_not_there_is_looked_for(tmp_path: Path) -> None:
    project = Project(tmp_path / "drv", usual_tree().objects, files={**FILES, "Kbuild": OPTIONAL})
    project.build()
    project.is_finished()
    (project.place / "more.mk").write_text("ccflags-y += -DMORE\n")
    assert "  CC [M]  a.o" in project.build().did
    project.assert_graph_agrees()


def test_a_kbuild_file_with_rules_of_its_own_always_asks_the_graph(tmp_path: Path) -> None:
    kbuild = "obj-m := a.o\n$(obj)/a.o: $(src)/b.h\n$(src)/b.h: $(src)/a.h\n\tcp $< $@\n"
    project = Project(tmp_path / "drv", usual_tree().objects, files={**FILES, "Kbuild": kbuild})
    assert [project.build().asked for _ in range(3)] == ["graph"] * 3


def test_a_warning_is_said_again_until_it_is_wrong(tmp_path: Path) -> None:
    project = Project(tmp_path / "drv", usual_tree().objects, "SOME_WORD=1")
    said = "kbuildpy: warning: SOME_WORD=1: nothing reads this variable\n"
    assert project.build().done.error_text.startswith(said)
    project.is_finished()
    assert project.build().done.error_text == said
    (project.place / "tell.sh").write_text("echo $SOME_WORD\n")
    built = project.build()
    assert (built.asked, built.done.error_text) == ("graph", "")


@pytest.mark.skipif(len(trees()) < 2, reason="one kernel tree is installed")
def test_several_kernels_have_their_table_from_the_note(tmp_path: Path) -> None:
    first, second = trees()[:2]
    project = Project(tmp_path / "drv", first.objects, "-k", str(second.objects))
    project.build()
    project.is_finished()
    assert [line.split() for line in project.build().said[-2:]] == [
        [tree.release, "2", "of", "2", "up", "to", "date"] for tree in (first, second)
    ]
    next((project.place / "build" / second.release).glob("a.ko")).unlink()
    assert project.build().did


def test_a_directory_with_probes_always_asks_the_graph(project: Project) -> None:
    (project.place / "probes.toml").write_text('[HAVE_X]\nheader = "linux/module.h"\n')
    assert [project.build().asked for _ in range(3)] == ["graph"] * 3
    project.assert_graph_agrees()


def test_a_failed_build_is_not_noted(project: Project) -> None:
    (project.place / "a.h").write_text("#error no\n")
    assert [project.build().done.returncode for _ in range(2)] == [1, 1]
    assert [project.build().asked for _ in range(2)] == ["graph", "graph"]


def test_a_damaged_note_is_no_note(project: Project) -> None:
    for text in (b"", b"{}", b"[]", b"null\n00000000", b"\xff" * 9):
        [note] = project.notes
        note.write_bytes(text)
        built = project.build()
        assert (built.asked, built.did, built.done.returncode) == ("graph", [], 0), text
    project.is_finished()


def test_cleaning_removes_the_note(project: Project) -> None:
    project.build("-c")
    assert not (project.place / "build").exists()
    assert project.build().did

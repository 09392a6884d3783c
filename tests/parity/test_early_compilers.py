# SPDX-License-Identifier: GPL-2.0-only
"""A source that was edited is compiled while SCons still reads: once, to the object that make would make."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import REPRODUCIBLE, collect, kbuildpy, make
from tests.support.edits import edit
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import TREES, swept, trees

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one processor only"),
]

SOURCES = {
    "Kbuild": "obj-m := pair.o alone.o\npair-y := first.o sub/second.o\nccflags-y := -DWORD='\"a $$5 \\# word\"'\n",
    "first.c": module(
        '#include "pair.h"\nint second(void);\nint first(void);\nint first(void) { return PAIR + second(); }\n'
    ),
    "sub/second.c": '#include "../pair.h"\nint second(void);\nint second(void) { return WORD[0] + __LINE__; }\n',
    "alone.c": module(),
    "pair.h": "#define PAIR 1\n",
}


class Project:
    """A module directory that was built, by a compiler that logs which sources it compiles."""

    def __init__(self, tree: KernelTree, place: Path, scratch: Path) -> None:
        self.tree, self.place = tree, place
        self.log = scratch / "log"
        self.saves = scratch / "saves"
        self.compiler = scratch / "gcc-logged"
        # With the file `saves`, the next call saves a header once it has read it.
        self.compiler.write_text(
            f'#!/bin/sh\nfor last; do :; done\ncase "$*" in *" -c -o "*) echo "$last" >>{self.log};; esac\n'
            f'rm {self.saves} 2>/dev/null || exec gcc "$@"\n'
            f"gcc \"$@\" || exit\nsleep 0.1; echo '#define PAIR 4' >{place}/pair.h\n"
        )
        self.compiler.chmod(0o755)
        write_sources(SOURCES, place)
        done = self.build()
        assert done.returncode == 0, done.error_text

    def build(self, *words: str) -> Completed:
        """Build incrementally."""
        self.log.write_text("")
        return kbuildpy("build", self.place, "-k", str(self.tree.objects), f"CC={self.compiler}", REPRODUCIBLE, *words)

    def compiled(self) -> list[str]:
        """The sources that the compiler was called for in the last build, but for those of ours."""
        names = [Path(line).name for line in self.log.read_text().splitlines()]
        return sorted(name for name in names if name.endswith(".c") and not name.endswith(".mod.c"))

    def modules(self) -> dict[str, bytes]:
        """The modules that were built, by name."""
        return _modules(self.place / "build" / self.tree.release)

    def modules_of_make(self) -> dict[str, bytes]:
        """The modules that make builds of the same sources."""
        done = make(self.tree, self.place, [f"CC={self.compiler}", REPRODUCIBLE])
        assert done.returncode == 0, done.error_text
        return _modules(self.place)


def _modules(place: Path) -> dict[str, bytes]:
    return {Path(name).name: data for name, data in collect(place).items() if name.endswith(".ko")}


@pytest.fixture(params=trees()[:1], ids=lambda tree: tree.release)
def tree(request: pytest.FixtureRequest) -> KernelTree:
    """The oldest installed kernel tree, unless a test names others."""
    found: KernelTree = request.param
    return found


@pytest.fixture
def project(tree: KernelTree, tmp_path: Path) -> Project:
    scratch = tmp_path.resolve() / "scratch"
    scratch.mkdir()
    return Project(tree, tmp_path.resolve() / "m", scratch)


@pytest.mark.parametrize("tree", [TREES[-1], *swept(*TREES[:-1])], ids=lambda tree: tree.release)
def test_edited_sources_are_compiled_once_and_as_make_does(project: Project) -> None:
    edit(project.place / "sub/second.c", "+ __LINE__", "+ 5 * __LINE__")
    edit(project.place / "first.c", "return PAIR", "return 7 + PAIR")
    _wait_for_a_grain()
    done = project.build()
    assert done.returncode == 0 and project.compiled() == ["first.c", "second.c"]
    assert sorted(line for line in done.text.splitlines() if "CC [M]" in line and ".mod.o" not in line) == [
        "  CC [M]  first.o",
        "  CC [M]  sub/second.o",
    ]
    ours = project.modules()
    assert ours == project.modules_of_make()
    # (nor is anything left to do, or left behind)
    assert project.build().returncode == 0 and project.compiled() == []
    assert not list(project.place.glob("build/*/.kbuildpy/early*"))


def test_an_error_is_told_once_and_a_build_after_it_is_whole(project: Project) -> None:
    before = (project.place / "first.c").read_text()
    edit(project.place / "first.c", "return PAIR", "return gone + PAIR")
    _wait_for_a_grain()
    done = project.build()
    assert done.returncode == 1 and done.error_text.count("undeclared (first use") == 1
    (project.place / "first.c").write_text(before.replace("return PAIR", "return 3 + PAIR"))
    _wait_for_a_grain()
    assert project.build().returncode == 0
    assert project.modules() == project.modules_of_make()


def test_a_warning_is_told_as_ever(project: Project) -> None:
    edit(project.place / "first.c", "int first(void) {", "int first(void) { int unused;")
    _wait_for_a_grain()
    done = project.build()
    assert done.returncode == 0 and done.error_text.count("warning: unused variable") == 1


def test_other_flags_throw_the_object_away(project: Project) -> None:
    edit(project.place / "Kbuild", "a $$5", "another $$5")
    edit(project.place / "sub/second.c", "+ __LINE__", "+ 2 * __LINE__")
    _wait_for_a_grain()
    assert project.build().returncode == 0
    assert project.modules() == project.modules_of_make()


def test_a_header_that_is_saved_meanwhile_is_seen(project: Project) -> None:
    edit(project.place / "first.c", "return PAIR", "return 9 + PAIR")
    _wait_for_a_grain()
    project.saves.touch()
    assert project.build().returncode == 0
    assert not project.saves.exists() and "PAIR 4" in (project.place / "pair.h").read_text()
    project.build()
    assert project.modules() == project.modules_of_make()


def _wait_for_a_grain() -> None:
    """What was saved within the last grain of the file system's clock may still change unseen, and is not compiled
    early."""
    time.sleep(0.05)

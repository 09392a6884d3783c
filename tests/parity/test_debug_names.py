# SPDX-License-Identifier: GPL-2.0-only
"""The names in debug information: what lies among the output carries the names that it has under make."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import REPRODUCIBLE, assert_equal, kbuildpy
from tests.support.kbuild_sources import both, module, write_sources
from tests.support.kernel_trees import newest_tree_first, swept, tree_of_release
from tests.support.packages import newer_kernel

pytestmark = pytest.mark.parity

BODY = "static const char file[] __attribute__((used)) = __FILE__;"
SOURCES = {"Kbuild": "obj-m := sub/two.o\n", "sub/two.c": module(BODY)}


@pytest.fixture(params=newest_tree_first())
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


# `@` is the directory. (Below it lies the output: what is meant for the one fits the other, too.)
@pytest.mark.parametrize("flags", ["-ffile-prefix-map=@/=", *swept("-fdebug-prefix-map=@/sub=/x")])
def test_names_are_mapped_as_under_make(flags: str, tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = both(tree, tmp_path / "m", SOURCES, f"KCFLAGS={flags}")
    assert_equal(oracle, ours)


def test_names_are_mapped_as_under_make_where_kbuild_runs_in_the_directory(tmp_path: Path) -> None:
    tree, _ = newer_kernel()
    [(oracle, ours)] = both(tree, tmp_path / "m", SOURCES, "KCFLAGS=-ffile-prefix-map=@=.")
    assert_equal(oracle, ours)


def test_two_checkouts_make_the_same_where_their_names_are_mapped_away(tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = both(tree, tmp_path / "first", SOURCES, "KCFLAGS=-ffile-prefix-map=@=.")
    assert_equal(oracle, ours)
    place = tmp_path / "the/second"
    write_sources(SOURCES, place)
    done = kbuildpy("build", place, "-k", tree.objects, REPRODUCIBLE, f"KCFLAGS=-ffile-prefix-map={place}=.")
    assert done.returncode == 0, done.error_text
    assert (place / "build" / tree.release / "sub/two.ko").read_bytes() == ours.files["sub/two.ko"]


# DWARF 2 to 4 list each file's name once, whatever names it was found under; -g3 adds macros.
@pytest.mark.parametrize("flags", swept("-gdwarf-4", "-gdwarf-4 -ffile-prefix-map=@=.", "-g3"))
def test_kinds_of_debug_information_are_the_same_as_under_make(
    flags: str, tree: KernelTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    # (as many modules as it takes for the headers to be precompiled)
    sources = {"Kbuild": "obj-m := a.o b.o c.o sub/two.o\n", "sub/two.c": module(BODY)}
    sources |= {f"{name}.c": module() for name in "abc"}
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, f"KCFLAGS={flags}")
    assert_equal(oracle, ours)

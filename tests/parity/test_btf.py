# SPDX-License-Identifier: GPL-2.0-only
"""BTF: the bytes that make makes with a time stamp, without one, and every time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, kbuildpy, make
from tests.support.kbuild_sources import both, module, write_sources
from tests.support.kernel_trees import trees

pytestmark = pytest.mark.parity

OBJECTS = [f"part{number}" for number in range(6)]
SOURCES = {"Kbuild": f"obj-m := typed.o\ntyped-y := main.o {' '.join(f'{name}.o' for name in OBJECTS)}\n"}
SOURCES["main.c"] = module()
# So many types that a second thread gets some before the first has done them all.
SOURCES |= {
    f"{name}.c": "".join(
        f"struct {name}_{field} {{ int a{field}; struct {name}_{max(field - 1, 0)} *next; }} {name}_value_{field};\n"
        for field in range(4000)
    )
    for name in OBJECTS
}


@pytest.fixture
def tree() -> KernelTree:
    found = [tree for tree in trees() if str(btf_of(tree)) == "yes"]
    if not found:
        pytest.skip("no kernel tree here has what BTF takes")
    return found[-1]


def test_btf_is_that_of_make_with_a_time_stamp_and_stays_so(tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = both(tree, tmp_path / "m", SOURCES)
    assert_equal(oracle, ours)
    assert b".BTF\0" in ours.files["typed.ko"]
    for _ in range(2):
        made = tmp_path / "m/build" / tree.release / "typed.ko"
        made.unlink()
        assert kbuildpy("build", tmp_path / "m", "-k", tree.objects).returncode == 0
        assert made.read_bytes() == ours.files["typed.ko"]


def test_pahole_can_run_as_under_make_without_a_time_stamp(tree: KernelTree, tmp_path: Path) -> None:
    write_sources({"Kbuild": "obj-m := one.o\n", "one.c": module()}, tmp_path)
    threaded = options_of_pahole(make(tree, tmp_path, ["V=1"]).text)
    assert any(word.startswith("-j") for word in threaded), "make runs one thread, so there is nothing to choose"
    for variables, options in ([], options_without_threads(threaded)), (["BTF_THREADS=1"], threaded):
        done = kbuildpy("build", tmp_path, "-k", tree.objects, "V=1", *variables)
        assert options_of_pahole(done.text) == options


@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
def test_a_tree_that_always_has_threads_gets_none(tree: KernelTree) -> None:
    if not btf_of(tree).wanted:
        pytest.skip("a tree without BTF")
    asked = {
        threads: ask_tree(tree, variables={}, environ=os.environ, btf_threads=threads) for threads in (True, False)
    }
    options = {threads: options_of_pahole("".join(step.command for step in asked[threads].link)) for threads in asked}
    assert any(word.startswith("-j") for word in options[True])
    assert options[False] == options_without_threads(options[True])
    flags = {threads: (asked[threads].environment["PAHOLE_FLAGS"] or "").split() for threads in asked}
    assert flags == options


def options_of_pahole(output: str) -> list[str]:
    found: list[str] = re.findall(r"pahole -J (.*?) ?--btf_base ", output)
    [options] = found
    return options.split()


def options_without_threads(options: list[str]) -> list[str]:
    return [word for word in options if not word.startswith("-j")]

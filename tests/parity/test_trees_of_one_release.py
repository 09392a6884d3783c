# SPDX-License-Identifier: GPL-2.0-only
"""Two kernel trees of one release: each has its own modules, those that make builds against it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy, make
from tests.support.edits import edit
from tests.support.kernel_trees import private_tree, usual_tree
from tests.support.samples import SAMPLES
from tests.support.scons_project import HEAD, SConsProject

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[KernelTree, KernelTree]:
    """A tree, and one of the same release whose modules have another vermagic."""
    place = tmp_path_factory.mktemp("trees")
    plain, other = (private_tree(usual_tree(), place / name) for name in ("plain", "other"))
    edit(other / "include/generated/autoconf.h", "#define CONFIG_MODULE_UNLOAD 1\n", "")
    return open_tree(plain), open_tree(other)


@pytest.fixture(scope="module")
def oracle(pair: tuple[KernelTree, KernelTree], tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The vermagic of the module that make builds against each."""
    place = tmp_path_factory.mktemp("hello") / "hello"
    built = []
    for tree in pair:
        shutil.copytree(SAMPLES / "hello", place)
        assert make(tree, place).returncode == 0
        built.append(_vermagic(place / "hello.ko"))
        shutil.rmtree(place)
    assert built[0] != built[1]
    return built


def _vermagic(module: Path) -> bytes:
    return b"\0".join(entry for entry in module.read_bytes().split(b"\0") if b"vermagic=" in entry)


def _build(directory: Path, *trees: KernelTree) -> list[tuple[Path, bool]]:
    """The module for each tree, and whether it was made now."""
    done = kbuildpy("build", directory, "--format", "json", *(word for tree in trees for word in ("-k", tree.objects)))
    assert done.returncode == 0, done.error_text
    results = [json.loads(line) for line in done.text.splitlines()]
    assert [result["kernel"] for result in results] == [tree.release for tree in trees]
    assert all(result["built"] for result in results)
    return [(Path(result["file"]), result["made"]) for result in results]


def test_one_call_builds_both_and_a_later_one_for_either_has_nothing_to_do(
    pair: tuple[KernelTree, KernelTree], oracle: list[bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "hello"
    shutil.copytree(SAMPLES / "hello", directory)
    built = _build(directory, *pair)
    files = [file for file, _ in built]
    assert files[0].parent == directory / "build" / pair[0].release
    assert [_vermagic(file) for file in files] == oracle
    for number, tree in enumerate(pair):
        assert _build(directory, tree) == [(files[number], False)]
    assert _build(directory, *reversed(pair)) == [(file, False) for file in reversed(files)]

    # install takes the modules of the tree that it is called for, and refuses to put both into one lib/modules/RELEASE
    for file, tree in zip(files, pair, strict=True):
        done = kbuildpy("install", directory, "-k", tree.objects, "--root", tmp_path / "root", "--format", "json")
        assert (done.returncode, json.loads(done.text)["source"]) == (0, str(file)), done.error_text
    done = kbuildpy("install", directory, "--root", tmp_path / "root", *(f"-k{tree.objects}" for tree in pair))
    assert done.returncode == 2
    assert "are both of" in done.error_text and str(pair[1].objects) in done.error_text

    done = kbuildpy("build", directory, "-c", *(f"-k{tree.objects}" for tree in pair))
    assert done.returncode == 0 and not (directory / "build").exists(), done.error_text


def test_the_table_tells_them_apart(pair: tuple[KernelTree, KernelTree], tmp_path: Path) -> None:
    directory = tmp_path / "hello"
    shutil.copytree(SAMPLES / "hello", directory)
    done = kbuildpy("build", directory, *(f"-k{tree.objects}" for tree in pair))
    assert done.returncode == 0, done.error_text
    rows = [line.split()[0] for line in done.text.partition("  KERNEL ")[2].splitlines()[1:]]
    assert rows[0] == pair[0].release
    assert rows[1].startswith(f"{pair[0].release}@objects-") and len(rows) == 2


def test_an_sconstruct_may_name_both(pair: tuple[KernelTree, KernelTree], oracle: list[bytes], tmp_path: Path) -> None:
    source = (SAMPLES / "hello/hello.c").read_text()
    calls = "".join(f"env.KernelModule('hello', ['hello.c'], KDIR={str(tree.objects)!r})\n" for tree in pair)
    project = SConsProject(tmp_path, pair[0].objects, {"SConstruct": f"{HEAD}{calls}", "hello.c": source})
    project.build()
    files = sorted((tmp_path / "build").glob("*/hello.ko"), key=lambda path: "@" in path.parent.name)
    assert [_vermagic(file) for file in files] == oracle
    project.assert_nothing_to_do()

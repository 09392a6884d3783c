# SPDX-License-Identifier: GPL-2.0-only
"""Precompiled headers for `.mod.c`: the same bytes with them, without them, and with a damaged file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import REPRODUCIBLE, kbuildpy
from tests.support.kernel_trees import trees
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.parity


@pytest.fixture(params=trees()[:1], ids=lambda tree: tree.release)
def tree(request: pytest.FixtureRequest) -> KernelTree:
    """The oldest installed kernel tree; the others are built with precompiled headers in every other test."""
    found: KernelTree = request.param
    return found


OTHERS = ("chardev", "composite", "debug_messages", "exporter_user")
"""Samples that are left out: their `.mod.c` has nothing new for the compiler."""


def objects(tree: KernelTree, place: Path, cache: Path) -> dict[str, bytes]:
    """Build the samples at `place` from nothing; the `.mod.o` files."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(SAMPLES, place, ignore=shutil.ignore_patterns(*OTHERS))
    (place / "Kbuild").write_text("obj-m := exporter/ hello/ params/\n")
    done = kbuildpy("build", place, "-k", tree.objects, REPRODUCIBLE, env={"KBUILDPY_CACHE": str(cache)})
    assert done.returncode == 0, done.error_text
    found = {path.name: path.read_bytes() for path in place.rglob("*.mod.o")}
    assert len(found) == 3
    return found


def test_the_objects_are_the_same_with_without_and_with_damaged_precompiled_headers(
    tree: KernelTree, tmp_path: Path
) -> None:
    place, cache = tmp_path / "m", tmp_path / "cache"
    (cache / "precompiled").mkdir(parents=True)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "precompiled").write_text("in the way")
    without = objects(tree, place, blocked)
    first = objects(tree, place, cache)
    [precompiled] = cache.glob("precompiled/*/module.h.gch")
    used = objects(tree, place, cache)
    precompiled.write_bytes(precompiled.read_bytes()[:100_000])
    damaged = objects(tree, place, cache)
    assert first == without
    assert used == without
    assert damaged == without


@pytest.mark.sweep
def test_a_record_names_the_headers_that_were_precompiled(tree: KernelTree, tmp_path: Path) -> None:
    place, cache = tmp_path / "m", tmp_path / "cache"
    objects(tree, place, cache)
    objects(tree, place, cache)
    record = next(place.rglob(".hello.mod.o.cmd")).read_text()
    assert "include/linux/module.h" in record
    assert "include/linux/list.h" in record  # reached through others only
    assert "precompiled" not in record
    again = kbuildpy("build", place, "-k", tree.objects, REPRODUCIBLE, env={"KBUILDPY_CACHE": str(cache)})
    assert "CC [M]" not in again.text

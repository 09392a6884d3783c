# SPDX-License-Identifier: GPL-2.0-only
"""Real modules, from Debian's packages: the same bytes as make's where make builds them, its message where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, assert_refused_alike, build_both
from tests.support.kernel_trees import trees
from tests.support.packages import unpacked

pytestmark = pytest.mark.parity

ROWS = [
    line.split("\t")
    for line in (Path(__file__).parent / "corpus.tsv").read_text().splitlines()
    if not line.startswith("#")
]
PACKAGES = sorted({row[0] for row in ROWS})
# These lines are what the packages' release of Debian was made for; newer ones may refuse the sources.
LINES = ((6, 1), (6, 12))
SLOW = ("jool-dkms", "xtables-addons-dkms")
"""Packages that take minutes: they are built in the sweep only."""


def _cases() -> list[Any]:
    """Every package on every line."""
    found = []
    for tree in (tree for tree in trees() if tree.version in LINES):
        for package in PACKAGES:
            # 6.1 in every run: make itself refuses some of them on 6.12.
            in_sweep = package in SLOW or tree.version != LINES[0]
            marks = [pytest.mark.sweep] if in_sweep else []
            found.append(pytest.param(package, tree, marks=marks, id=f"{package}-{tree.release}"))
    return found


@pytest.mark.parametrize(("package", "tree"), _cases())
def test_a_packaged_module_is_the_same_bytes_as_makes(package: str, tree: KernelTree, tmp_path: Path) -> None:
    try:
        sources = next((unpacked(package) / "usr/src").iterdir())
    except CommandError as error:
        if "no candidate" in error.stderr:
            pytest.skip(f"{package} is no package of this Debian")
        raise
    rows = [row for row in ROWS if row[0] == package]
    steps = [(row[1], row[2].split()) for row in rows]
    pairs = build_both(tree, sources, tmp_path / sources.name, steps=steps)
    for row, (oracle, ours) in zip(rows, pairs, strict=True):
        if oracle.status != 0:
            assert tree.version != (6, 1), f"make does not build {row[1]}:\n{oracle.output[-2000:]}"
            assert_refused_alike(oracle, ours)
            continue
        assert_equal(oracle, ours)
        assert len(ours.names(".ko")) == int(row[3])

# SPDX-License-Identifier: GPL-2.0-only
"""The samples, built against trees of configurations that no package has: make's bytes, and a verdict on each.

The trees are prepared, without a kernel; `./run configurations` builds the kernels, and compares with them as well.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.configurations.parts import compared_with_make, differences_of
from tests.configurations.prepared import make_up_symvers, prepared_kernel
from tests.configurations.rows import ROWS, Row, SelfBuilt
from tests.support.samples import SAMPLES

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

OPTIONS = [row for row in ROWS if isinstance(row.kernel, SelfBuilt) and row.kernel.options]
"""Those that change how modules are built."""


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_samples_are_makes_and_are_checked(row: Row, tmp_path: Path) -> None:
    kernel = prepared_kernel(row, tmp_path / "tree")
    place = tmp_path / "samples"
    shutil.copytree(SAMPLES, place)
    make_up_symvers(kernel.tree, place, kernel.words)
    # (the check after each link is part of the build, and a refusal fails it)
    oracle, ours = compared_with_make(row, kernel, SAMPLES, place)
    assert list(differences_of(oracle, ours)) == []
    assert oracle.status == 0, oracle.output[-2000:]
    assert ours.output.count("  LOADCHK ") == len(ours.names(".ko")) > 5

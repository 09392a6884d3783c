# SPDX-License-Identifier: GPL-2.0-only
"""The sample modules as the tests in kernels load them, built once for each kernel tree, whatever worker asks first."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import other_compiler

SAMPLES = Path(__file__).parents[2] / "sample_modules"


def built_samples(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The module files of sample_modules/, built for `tree`; not to be changed, for others read them."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # (what all workers have in common)
        place = place.parent
    out = place / "built_samples"
    with (place / f"built_samples.{tree.release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / tree.release).exists():
            _build(tree, out)
    return sorted((out / tree.release).rglob("*.ko"))


def _build(tree: KernelTree, out: Path) -> None:
    run([sys.executable, "-m", "kbuildpy", "build", SAMPLES, "-k", tree.objects, "-o", out, *other_compiler(tree)])

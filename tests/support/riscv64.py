# SPDX-License-Identifier: GPL-2.0-only
"""Kernels for riscv64 to cross-build with: Debian's packages of trixie, the first release that has it, unpacked
side by side in the user's cache.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from tests.support.packages import archived_foreign_kernel

CROSS_COMPILE = "riscv64-linux-gnu-"
CROSS = ("ARCH=riscv", f"CROSS_COMPILE={CROSS_COMPILE}")
"""What is said to make, and to kbuildpy."""

RISCV64_LINES = ("6.12-riscv64",)


def riscv64_kernel(line: str = RISCV64_LINES[0]) -> tuple[KernelTree, Path]:
    """The tree of one of `RISCV64_LINES`, and the root that its image and modules are unpacked below. The test is
    skipped where it cannot be used."""
    if os.uname().machine != "x86_64":
        pytest.skip("builds for riscv64 on x86-64")
    for program in ("apt-get", "dpkg-deb", f"{CROSS_COMPILE}gcc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    try:
        return archived_foreign_kernel(line)
    except KbuildError as error:
        pytest.skip(f"no kernel {line} to be had: {error}")


def riscv64_tree(line: str = RISCV64_LINES[0]) -> KernelTree:
    """The tree alone."""
    return riscv64_kernel(line)[0]

# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees for arm64 to cross-build with."""

from __future__ import annotations

from kbuildpy.kernel.tree import KernelTree
from tests.support.foreign_trees import packaged_tree

CROSS_COMPILE = "aarch64-linux-gnu-"
# What is said to make, and to kbuildpy.
CROSS = ("ARCH=arm64", f"CROSS_COMPILE={CROSS_COMPILE}")

# The distribution's own kernel, and on Debian 12 the other line of kernels that it has. The packages have no content
# but a dependency on the newest release.
LINES = {"arm64": "linux-headers-arm64", "6.12-arm64": "linux-headers-6.12-arm64"}


def arm64_tree(line: str = "arm64") -> KernelTree:
    """The tree of one of `LINES`, unpacked once; skips the test where it cannot be used."""
    return packaged_tree(LINES[line], "arm64")

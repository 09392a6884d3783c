# SPDX-License-Identifier: GPL-2.0-only
"""Kernels as Debian ships them: headers, image and modules, taken out of their packages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from kbuildpy.kernel.find_image import INSTALLED_IMAGES
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_image import kernel_from_image
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from tests.support.arm64 import LINES, arm64_tree
from tests.support.foreign_trees import FOREIGN, foreign_tree
from tests.support.kernel_trees import TREES
from tests.support.packages import asking, newer_kernel, unpacked_for_arm64, unpacked_kernel
from tests.support.riscv64 import RISCV64_LINES, riscv64_kernel

NATIVE = ("6.1", "6.12", "7.3")


@dataclass(frozen=True)
class ShippedKernel:
    """A kernel with its tree, and with its image and modules below `root`, placed as they are in a system."""

    tree: KernelTree
    root: Path

    @cached_property
    def by_tree(self) -> LoaderKernel:
        """What the tree tells, its compiler asked, and the image and the modules that belong to it."""
        return kernel_from_tree(self.tree, asking(self.tree), root=self.root)

    @cached_property
    def by_image(self) -> LoaderKernel:
        """What is known without headers."""
        return kernel_from_image(self.image)

    @property
    def image(self) -> Path:
        """The file of the image."""
        places = (self.root / place.format(release=self.tree.release) for place in INSTALLED_IMAGES)
        return next(place for place in places if place.is_file())

    @cached_property
    def modules(self) -> tuple[Path, ...]:
        """The files of all modules, in order."""
        directory = modules_directory(self.tree.release, root=self.root)
        assert directory is not None
        return tuple(sorted((directory / "kernel").rglob("*.ko*")))

    def sample(self, count: int) -> tuple[Path, ...]:
        """About `count` of the modules, from every corner of the tree."""
        return self.modules[:: max(len(self.modules) // count, 1)]


@cache
def shipped_kernel(line: str) -> ShippedKernel:
    """The kernel of a line of `NATIVE`, or of one for arm64, riscv64, or one of `FOREIGN` (without modules); skips the
    test where it is not to be had."""
    if line in LINES:
        tree = arm64_tree(line)
        package = unpacked_for_arm64(f"linux-image-{tree.release}")
        return ShippedKernel(tree, package)
    if line in RISCV64_LINES:
        return ShippedKernel(*riscv64_kernel(line))
    if line in FOREIGN:
        tree, _ = foreign_tree(line)
        return ShippedKernel(tree, tree.objects.parents[2])
    for installed in TREES:
        if "{}.{}".format(*installed.version) == line:
            return ShippedKernel(installed, unpacked_kernel(installed.release))
    if line != NATIVE[-1]:
        pytest.skip(f"no headers of {line} are installed")
    return ShippedKernel(*newer_kernel())


def others_of(line: str) -> list[ShippedKernel]:
    """The kernels of the other lines of `NATIVE`, as far as they are to be had."""
    found = []
    for other in NATIVE:
        with suppress(pytest.skip.Exception):
            found += [shipped_kernel(other)] if other != line else []
    return found

# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that `-k`, KDIR, KERNELRELEASE or the default chose, as a value; `resolve` makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree

FetchImage = Callable[[str, KernelTree | None], Path]
"""Gets the image of a release that is not installed, given its tree where there is one; raises `KbuildError`."""


class Need(Enum):
    """What a command needs of a kernel."""

    TREE = "tree"
    """A kernel tree: to build, sign and install."""
    IMAGE = "image"
    """A kernel image: to boot it, or to read its keys."""
    EITHER = "either"
    """Facts, from a tree, or from an image that is installed with its modules."""


@dataclass(frozen=True)
class ChosenKernel:
    """A kernel with the part that was needed of it."""

    release: str | None
    """Its release; None for an image that was named by path, which has to be unpacked to tell."""
    tree: KernelTree | None
    """Its kernel tree; never None where `Need.TREE` was asked for."""
    image: Path | None
    """Its image; never None where `Need.IMAGE` was asked for."""
    reason: str
    """Why it was chosen: a sentence."""
    by_kdir: bool = False
    """KDIR names it, so no message about the choice is needed."""

    @property
    def place(self) -> Path:
        """The physical path that tells it from other kernels: of its image if there is one, else of its tree."""
        if self.image is not None:
            return self.image.resolve()
        assert self.tree is not None
        return self.tree.objects

    def the_tree(self) -> KernelTree:
        """The tree, of a kernel that was resolved with `Need.TREE`."""
        assert self.tree is not None
        return self.tree

    def the_image(self) -> Path:
        """The image, of a kernel that was resolved with `Need.IMAGE`."""
        assert self.image is not None
        return self.image

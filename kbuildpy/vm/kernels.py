# SPDX-License-Identifier: GPL-2.0-only
"""Kernels to boot: the ones that `kernel.resolve` finds, with an image and a machine. Missing images are downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.image import read_kernel
from kbuildpy.kernel.resolve import resolve, resolve_release
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel.words import tree_image
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.machine import Machine, machine_for, machine_of_image, machine_of_release


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot."""

    release: str
    image: Path
    machine: Machine
    """The machine that the image is for."""
    tree: KernelTree | None = None
    """Its tree, where that is known."""


def find_kernels(words: Sequence[str], environ: Mapping[str, str], *, root: Path = Path("/")) -> list[Kernel]:
    """The kernels that `words` (`-k`) name, or `environ` where there are none, as `resolve` finds them.

    An image that is not installed is taken out of Debian's package. Raises what `resolve` raises, and `KbuildError`
    for an image that cannot be booted.
    """
    return [_to_boot(kernel) for kernel in resolve(words, Need.IMAGE, environ=environ, root=root, fetch=_fetch)]


def kernel_of_tree(tree: KernelTree) -> Kernel:
    """The kernel that modules built against `tree` are for. Raises `KbuildError` if its image cannot be had."""
    return Kernel(tree.release, tree_image(tree, fetch=_fetch), machine_for(architecture_of(tree)), tree)


def kernels_of_releases(releases: Sequence[str]) -> list[Kernel]:
    """The kernels called `releases`, as modules state them, each once. Raises `UsageError` for one that is neither here
    nor in Debian's packages."""
    return [_to_boot(resolve_release(release, Need.IMAGE, fetch=_fetch)) for release in dict.fromkeys(releases)]


def _fetch(release: str, tree: KernelTree | None) -> Path:
    if tree is not None:
        return fetch_kernel_image(release, machine=machine_for(architecture_of(tree)))
    return fetch_kernel_image(release, machine=machine_of_release(release))


def _to_boot(kernel: ChosenKernel) -> Kernel:
    image = kernel.the_image().resolve()
    try:
        machine = machine_for(architecture_of(kernel.tree)) if kernel.tree else machine_of_image(image)
        return Kernel(kernel.release or read_kernel(image).release, image, machine, kernel.tree)
    except KbuildError as error:
        if kernel.release is None:
            raise UsageError(error.message, hint=error.hint) from error
        raise

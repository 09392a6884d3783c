"""The kernels that `-k` names, as images to boot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.find import find_trees
from kbuildpy.kernel.image import find_kernel_image, image_of_tree, read_kernel
from kbuildpy.kernel.installed import installed_kernels
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.machine import MACHINES, Machine, machine_for, machine_of_image


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot: its release, its image, and the machine that it is for."""

    release: str
    image: Path
    machine: Machine


def find_kernels(words: Sequence[str], *, kdir: str | None = None, kernelrelease: str | None = None) -> list[Kernel]:
    """The kernels that `words` name (a release, a kernel tree's path, `running`, `all`, or an image's path), each once.

    With none, the one of the tree that `kdir` or `kernelrelease` names, else of the tree that modules are built against
    by default. An image that is not installed is taken out of Debian's package. Raises `UsageError` for a name that
    means no kernel, `KbuildError` for an image that cannot be had or booted.
    """
    found = [kernel for word in words for kernel in _kernels_of(word)]
    if not words:
        found = [kernel_of_tree(find_trees(kdir=kdir, kernelrelease=kernelrelease)[0].tree)]
    return list({kernel.image: kernel for kernel in found}.values())


def kernel_of_tree(tree: KernelTree) -> Kernel:
    """The kernel that modules built against `tree` are for."""
    machine = machine_for(architecture_of(tree))
    try:
        image = image_of_tree(tree)
    except KbuildError:
        image = fetch_kernel_image(tree.release, machine=machine)
    return Kernel(tree.release, image, machine)


def kernel_of_release(release: str) -> Kernel:
    """The kernel called `release`; raises `UsageError` if there is none here and none in Debian's packages."""
    try:
        image = find_kernel_image(release)
    except KbuildError as missing:
        # Debian's releases end with the architecture.
        machine = next((item for item in MACHINES if release.endswith(f"-{item.debian}")), None)
        try:
            image = fetch_kernel_image(release, machine=machine)
        except KbuildError as error:
            raise UsageError(f"{missing.message}, and none could be downloaded", hint=error.message) from error
    return Kernel(release, image, machine_of_image(image))


def kernels_of_releases(releases: Sequence[str]) -> list[Kernel]:
    """The kernels called `releases`, each once, as `kernel_of_release` finds them.

    A module says which release it was built for, and whoever wrote it may have written anything: such a word is never
    taken for a path, unlike what `-k` names.
    """
    return list({kernel.image: kernel for kernel in map(kernel_of_release, releases)}.values())


def _kernels_of(word: str) -> Iterator[Kernel]:
    path = Path(word)
    if not word:
        raise UsageError(
            "-k: an empty name", hint="name a kernel tree's path, a release, an image, `running`, or `all`"
        )
    if path.is_file():
        yield _kernel_of_image(path)
    elif word == "running":
        yield kernel_of_release(os.uname().release)
    elif word == "all":
        for origin in installed_kernels():
            yield kernel_of_tree(origin) if isinstance(origin, KernelTree) else _kernel_of_image(origin)
    elif "/" in word or word in (".", ".."):
        for found in find_trees([word]):
            yield kernel_of_tree(found.tree)
    else:
        yield kernel_of_release(word)


def _kernel_of_image(path: Path) -> Kernel:
    try:
        machine = machine_of_image(path)
        return Kernel(read_kernel(path).release, path.resolve(), machine)
    except KbuildError as error:
        raise UsageError(error.message, hint=error.hint) from error

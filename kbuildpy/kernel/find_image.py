# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's image is on this machine."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.tree import KernelTree

INSTALLED_IMAGES = (
    *("boot/vmlinuz-{release}", "lib/modules/{release}/vmlinuz", "usr/lib/modules/{release}/vmlinuz"),
    "boot/vmlinux-{release}",
)
"""Where a kernel's image is: of Debian and most others; of Fedora, Arch, and Debian's packages from 7.0 on; of Debian
for machines whose boot loaders take no compressed image."""
# Where a tree that was built here has its own (arch/*/boot/Makefile).
_BUILT = ("arch/x86/boot/bzImage", "arch/arm64/boot/Image", "arch/riscv/boot/Image")


def find_kernel_image(release: str, *, root: Path = Path("/")) -> Path:
    """The kernel image of `release` on this machine, installed or fetched earlier.

    Raises `KbuildError` if there is none that we may read.
    """
    fetched = fetched_image(release)
    image = installed_kernel_image(release, root=root) or installed_kernel_image(release, root=fetched_root())
    if image is not None:
        return image
    if _is_readable(fetched):
        return fetched
    raise KbuildError(
        f"there is no image of kernel {release} here", hint=f"apt-get install linux-image-{shlex.quote(release)}"
    )


def installed_kernel_image(release: str, *, root: Path = Path("/")) -> Path | None:
    """The kernel image of `release` that is installed below `root`; None if there is none that we may read."""
    candidates = (root / place.format(release=release) for place in INSTALLED_IMAGES)
    return next(filter(_is_readable, candidates), None)


def image_of_tree(tree: KernelTree, *, root: Path = Path("/")) -> Path:
    """The image of the kernel that `tree` belongs to: a tree that was built here has its own. (Of the packaged ones
    some have a `vmlinux`, for its types only.)

    Raises `KbuildError` if there is none that we may read.
    """
    for name in _BUILT:
        if (tree.objects / name).is_file():
            return tree.objects / name
    return find_kernel_image(tree.release, root=root)


def fetched_image(release: str) -> Path:
    """Where an image is kept that was taken out of a package; it may not be there."""
    return cache_directory() / "images" / f"vmlinuz-{release}"


def root_of_kernel(chosen: ChosenKernel) -> Path:
    """The root directory of the system that a kernel is part of: of headers that are unpacked with their image and
    modules, as in `ROOT/usr/src/linux-headers-RELEASE`, the one that they are unpacked in; else this machine's."""
    objects = chosen.tree.objects if chosen.tree else None
    if objects is not None and len(objects.parents) > 2:
        root = objects.parents[2]
        if any((root / place.format(release=chosen.release)).is_file() for place in INSTALLED_IMAGES):
            return root
    return Path("/")


def _is_readable(image: Path) -> bool:
    return image.is_file() and os.access(image, os.R_OK)

# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's image is on this machine."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.image import release_without_unpacking
from kbuildpy.kernel.packages import image_hint
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable

INSTALLED_IMAGES = (
    *("boot/vmlinuz-{release}", "lib/modules/{release}/vmlinuz", "usr/lib/modules/{release}/vmlinuz"),
    "boot/vmlinux-{release}",
)
"""Where a kernel's image is: of Debian and most others; of Fedora, Arch, and Debian's packages from 7.0 on; of Debian
for machines whose boot loaders take no compressed image."""
# Where a tree that was built here has its own (arch/*/boot/Makefile), those that need not be unpacked first.
_BUILT = {
    "x86": ("bzImage",),
    "arm64": ("Image", "vmlinuz.efi", *(f"Image.{suffix}" for suffix in ("gz", "zst", "xz", "lz4", "lzma", "bz2"))),
}
_BUILT["riscv"] = _BUILT["arm64"]


class ForeignImage(KbuildError):
    """The image in a kernel tree is of another kernel than the tree is for."""


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
    raise KbuildError(f"there is no image of kernel {release} here", hint=image_hint(release))


def installed_kernel_image(release: str, *, root: Path = Path("/")) -> Path | None:
    """The kernel image of `release` that is installed below `root`; None if there is none that we may read."""
    candidates = (root / place.format(release=release) for place in INSTALLED_IMAGES)
    return next(filter(_is_readable, candidates), None)


def image_of_tree(tree: KernelTree, *, root: Path = Path("/")) -> Path:
    """The image of the kernel that `tree` belongs to: a tree that was built here has its own, at least a `vmlinux`.
    (Packaged trees may have a `vmlinux` with type information only, which is no image.)

    Raises `KbuildError` if there is none that we may read, `ForeignImage` for one of another kernel: the tree's
    configuration or sources changed since its image was built.
    """
    boot = tree.objects / "arch" / architecture_of(tree).srcarch / "boot"
    built = (boot / name for name in _BUILT.get(boot.parent.name, ()))
    image = next(filter(_is_readable, built), None)
    if image is not None:
        _require_same(image, release_without_unpacking(image), tree)
        return image
    try:
        return find_kernel_image(tree.release, root=root)
    except KbuildError:
        vmlinux = tree.objects / "vmlinux"
        release = release_without_unpacking(vmlinux)
        if not release or not os.access(vmlinux, os.R_OK):
            raise
        _require_same(vmlinux, release, tree)
        return vmlinux


def build_call(tree: KernelTree, goal: str = "") -> str:
    """The command that builds the kernel of `tree`, or a `goal` in it; "" where the source part has only headers."""
    if not (tree.source / "init/main.c").is_file():
        return ""
    return f"make -C {shlex.quote(str(tree.objects))} {goal}".rstrip()


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


def _require_same(image: Path, release: str, tree: KernelTree) -> None:
    if release not in ("", tree.release):
        raise ForeignImage(
            f"{image}: an image of {printable(release)}, but its kernel tree is of {tree.release}: they do not belong "
            "together",
            hint=f"build the image again: {build_call(tree, image.name) or 'its tree has no sources here'}",
        )


def _is_readable(image: Path) -> bool:
    return image.is_file() and os.access(image, os.R_OK)

"""The kernels that `-k` names, as images to boot."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.compression import decompress
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.find import find_trees
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.image import fetch_kernel_image, find_kernel_image
from kbuildpy.vm.machine import MACHINES, Machine, machine_for, machine_of_image

_BANNER = re.compile(rb"Linux version ([!-~]+) \(")


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
    image = image_in_tree(tree.objects) or fetch_kernel_image(tree.release, machine=machine)
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


def image_in_tree(objects: Path) -> Path | None:
    """The image of a tree that was built here; packaged ones have none."""
    names = ("arch/x86/boot/bzImage", "arch/arm64/boot/Image")
    return next((objects / name for name in names if (objects / name).is_file()), None)


def release_of_image(image: Path) -> str:
    """The release of a kernel image; raises `KbuildError` if it does not tell."""
    contents = image.read_bytes()
    if contents[0x202:0x206] == b"HdrS":
        # Documentation/x86/boot.rst: kernel_version
        (offset,) = struct.unpack_from("<H", contents, 0x20E)
        text = contents[0x200 + offset :].split(b"\0", 1)[0].split(b" ", 1)[0]
        if text:
            return text.decode(errors="replace")
    found = _BANNER.search(decompress(contents))
    if not found:
        raise KbuildError(f"{image}: does not tell its release", hint="name the kernel by its release, or by its tree")
    return found[1].decode()


def _kernels_of(word: str) -> Iterator[Kernel]:
    path = Path(word)
    if not word:
        raise UsageError(
            "-k: an empty name", hint="name a kernel tree's path, a release, an image, `running`, or `all`"
        )
    if path.is_file():
        machine = machine_of_image(path)
        yield Kernel(release_of_image(path), path.resolve(), machine)
    elif word == "running":
        yield kernel_of_release(os.uname().release)
    elif word == "all" or "/" in word or word in (".", ".."):
        for found in find_trees([word]):
            yield kernel_of_tree(found.tree)
    else:
        yield kernel_of_release(word)

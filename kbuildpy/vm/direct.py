# SPDX-License-Identifier: GPL-2.0-only
"""The kernel inside an x86 image, for QEMU to start directly.

An image unpacks itself when it boots. Where QEMU translates, that can take more than half of the time (6 of 10 s for
Debian's 6.1); here it takes a second, once. QEMU starts an ELF file by the entry point that PVH guests have
(arch/x86/platform/pvh/head.S). The one thing that is lost: it is the image's own unpacking that chooses a random place
for the kernel and its modules, so all starts are as with `nokaslr`.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from kbuildpy.elf.constants import ELFMAG
from kbuildpy.elf.notes import Note, read_notes
from kbuildpy.elf.sections import read_sections, read_sound_ehdr
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.image import unpack
from kbuildpy.vm.machine import Machine, is_packed

_ENTRY = b"Xen", 18  # XEN_ELFNOTE_PHYS32_ENTRY of include/xen/interface/elfnote.h
_KASAN = b"kasan_multi_shot\0"
"""The name of a parameter that a kernel has with KASAN only (mm/kasan/report.c)."""
_RULES = b"2"
"""Another one for each change of what can be started directly."""
_HEADER = 0x1000
"""Enough of an image to see how it is packed, in bytes."""
_KEPT = 8
"""Kernels in the cache, each of about 60 MB."""


def direct_kernel(image: Path) -> Path:
    """The file for QEMU to start in place of `image`: the kernel inside, from this user's cache, or `image` itself
    where that cannot be started directly (no CONFIG_PVH, or KASAN) or not be unpacked here."""
    contents = image.read_bytes()
    if contents.startswith(ELFMAG):
        return image
    try:
        place = cache_directory() / "vmlinux"
        kernel = place / hashlib.sha256(_RULES + contents).hexdigest()
        if kernel.exists():
            os.utime(kernel)
        else:
            _keep(kernel, _startable(contents, image))
        # (an empty file stands for a kernel that has no such entry)
        return kernel if kernel.stat().st_size else image
    except (KbuildError, OSError):
        return image


def unpacked_kernel(image: Path, machine: Machine) -> Path:
    """The file for QEMU to start in place of `image`, which it could not unpack (`is_packed`): the kernel inside, from
    this user's cache; `image` itself where QEMU can. Raises `KbuildError` for a damaged image."""
    contents = image.read_bytes()
    if not is_packed(contents[:_HEADER], machine):
        return image
    kernel = cache_directory() / "vmlinux" / hashlib.sha256(_RULES + b"packed" + contents).hexdigest()
    if kernel.exists():
        os.utime(kernel)
    else:
        _keep(kernel, unpack(contents))
    return kernel


def _startable(contents: bytes, image: Path) -> bytes:
    """The kernel in an image's `contents`; nothing if it cannot be started directly."""
    kernel = unpack(contents)
    # (the code behind PVH's entry looks at KASAN's shadow of the memory, which is not there yet)
    if not kernel.startswith(ELFMAG) or _KASAN in kernel:
        return b""
    header = read_sound_ehdr(kernel, str(image))
    notes = read_notes(kernel, header, read_sections(kernel, header, str(image)))
    return kernel if any(_is_entry(note) for note in notes) else b""


def _is_entry(note: Note) -> bool:
    return (note.name, note.type) == _ENTRY


def _keep(kernel: Path, contents: bytes) -> None:
    kernel.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: another run may look meanwhile.
    with NamedTemporaryFile(dir=kernel.parent, prefix=".", delete=False) as beside:
        try:
            beside.write(contents)
            beside.close()
            Path(beside.name).replace(kernel)
        except BaseException:
            Path(beside.name).unlink()
            raise
    _forget_old(kernel.parent)


def _forget_old(folder: Path) -> None:
    """Keep those that were booted last. One that a guest runs from may go: QEMU has read it."""
    with suppress(OSError):
        for old in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)[_KEPT:]:
            old.unlink()

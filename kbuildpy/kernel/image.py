# SPDX-License-Identifier: GPL-2.0-only
"""The kernel inside an image. (`find_image`: where the images are.)

An image is unpacked as a boot loader would: an x86 bzImage (Documentation/arch/x86/boot.rst), an EFI zboot image
(drivers/firmware/efi/libstub/zboot-header.S), an arm64 `Image`, plain or compressed, arm's zImage, s390's bzImage, or a
`vmlinux`.
"""

from __future__ import annotations

import mmap
import re
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kbuildpy.compression import compression_of, decompress_first
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.architecture import ARM, S390

_BANNER = re.compile(rb"Linux version ([!-~]+) \(")
_STREAM = re.compile(rb"\xfd7zXZ\0|\x1f\x8b\x08|\x28\xb5\x2f\xfd|\x5d\0\0|\x02\x21\x4c\x18|\x89LZO\0")
"""How a compressed stream may begin: xz, gzip, zstd, lzma, lz4, lzo."""
_STREAMS = 32
"""Places that are tried, at most."""
_LONGEST_RELEASE = 65
"""A release (uts_len) and the space behind it, in bytes."""


class UnpackedKernel(NamedTuple):
    """The kernel in an image: its bytes (ELF with section headers on x86, what lies in memory on arm64), and what it
    calls itself."""

    contents: bytes
    release: str


def read_kernel(image: Path) -> UnpackedKernel:
    """The kernel in the file `image`. Raises `KbuildError` for a file that cannot be read, or is no kernel image."""
    try:
        contents = image.read_bytes()
    except OSError as error:
        raise KbuildError(f"{image}: {error.strerror}") from error
    try:
        kernel = unpack(contents)
    except KbuildError as error:
        raise KbuildError(f"{image}: {error.message}", hint=error.hint) from error
    banner = _BANNER.search(kernel)
    if banner is None:
        hint = "it is a module's name: kernels are named before modules" if image.suffix == ".ko" else ""
        raise KbuildError(f"{image}: not a kernel image, or compressed in an unknown format", hint=hint)
    return UnpackedKernel(kernel, banner[1].decode())


def release_without_unpacking(image: Path) -> str:
    """What the kernel in the file `image` calls itself, from the header of a bzImage, or from a kernel that is not
    compressed; "" where only unpacking would tell, and for a file that cannot be read or has no kernel in it (Debian's
    `vmlinux` for type information)."""
    try:
        with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
            if contents[0x202:0x206] == b"HdrS":
                start = int.from_bytes(contents[0x20E:0x210], "little") + 0x200
                version = contents[start : start + _LONGEST_RELEASE].partition(b" ")[0]
                return version.decode() if version.isascii() and version.decode().isprintable() else ""
            banner = _BANNER.search(contents)
            return banner[1].decode() if banner else ""
    except (OSError, ValueError):  # (ValueError: an empty file)
        return ""


def unpack(image: bytes) -> bytes:
    """A kernel image without what is wrapped around it."""
    for _ in range(4):  # a compressed file of an image with a compressed payload, and one to spare
        if image[0x202:0x206] == b"HdrS":
            image = _bzimage_payload(image)
        elif image[:2] == b"MZ" and image[4:8] == b"zimg":
            start, length = (int.from_bytes(image[offset : offset + 4], "little") for offset in (8, 12))
            image = image[start : start + length]
        elif compression_of(image):
            image = decompress_first(image)
        elif any(image.startswith(item.boot_magic, item.boot_offset) for item in (ARM, S390)):
            return _searched_payload(image)
        else:
            break
    return image


def _searched_payload(image: bytes) -> bytes:
    """The kernel in an image whose header does not tell where it is (arch/arm/boot/compressed/, arch/s390/boot/):
    what can be unpacked and names itself. The image, if there is nothing such. Raises `KbuildError` if something could
    not be unpacked because a program is missing, or in a format that is not read here."""
    unread: KbuildError | None = None
    for found in islice(_STREAM.finditer(image), _STREAMS):
        stream = image[found.start() :]
        try:
            kernel = decompress_first(stream)
        except KbuildError as error:
            # (any other error: these bytes only look like a stream)
            if isinstance(error, CommandError) or compression_of(stream) == "lzo":
                unread = unread or error
            continue
        if _BANNER.search(kernel):
            return kernel
    if unread is not None:
        raise unread
    return image


def _bzimage_payload(image: bytes) -> bytes:
    """The compressed kernel in a bzImage, without the length that is put behind what is not gzip's."""
    sectors = image[0x1F1] or 4
    start, length = (int.from_bytes(image[offset : offset + 4], "little") for offset in (0x248, 0x24C))
    if not length:
        raise KbuildError("the image is of a boot protocol before 2.08, which does not tell where the kernel is")
    start += (sectors + 1) * 512
    payload = image[start : start + length]
    if len(payload) < length:
        raise KbuildError("the image is cut off before its end")
    return payload if compression_of(payload) == "gzip" else payload[:-4]

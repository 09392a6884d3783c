# SPDX-License-Identifier: GPL-2.0-only
"""Reads the kernel's own type information: the section .BTF of `vmlinux`, from a kernel tree or from an x86 image,
which contains a compressed `vmlinux`."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import IO

from kbuildpy.elf.constants import ELFMAG
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.image import read_kernel
from kbuildpy.kernel.release import Version
from kbuildpy.loader.btf.header import parse_header
from kbuildpy.loader.btf.invalid import InvalidBtf
from kbuildpy.loader.btf.types import BtfTypes, read_types
from kbuildpy.loader.kernels.image_state import image_state


@lru_cache(maxsize=16)
def types_of_vmlinux(vmlinux: Path, version: Version) -> BtfTypes | None:
    """Return the types in the ELF file `vmlinux`; None if it has no .BTF. Raises `KbuildError` if it cannot be read."""
    return _types(_contents_of_vmlinux(vmlinux), version, vmlinux)


@lru_cache(maxsize=16)
def types_of_image(image: Path, version: Version) -> BtfTypes | None:
    """Return the types in the kernel image `image`; None if it has no .BTF, or no section headers. The section is kept
    in the user's cache. Raises `KbuildError` for a damaged image."""
    return _types(_contents_of_image(image), version, image)


def identity_of_types(vmlinux: Path | None, image: Path | None, version: Version) -> str:
    """Return a digest of the .BTF in `vmlinux`, or else in `image`; "" if neither has one. The digest is kept in the
    user's cache. Raises `KbuildError` as the functions that decode the types."""
    found = ""
    if vmlinux is not None and vmlinux.is_file():
        found = _kept_digest(vmlinux, _contents_of_vmlinux)
    if not found and image is not None:
        found = _kept_digest(image, _contents_of_image)
    # (the version decides how the types are decoded)
    return found and f"{found} {version[0]}.{version[1]}"


def _kept_digest(file: Path, read: Callable[[Path], bytes]) -> str:
    cached = cache_directory() / "shipped" / f"{image_state('types digest 1', file)}.json"
    known = read_json(cached)
    if not isinstance(known, str):
        contents = read(file)
        known = blake2b(contents, digest_size=16).hexdigest() if contents else ""
        write_json(cached, known)
    return known


def _contents_of_vmlinux(vmlinux: Path) -> bytes:
    try:
        with vmlinux.open("rb") as file:
            return _section(file, str(vmlinux))
    except OSError as error:
        raise KbuildError(f"{vmlinux}: {error.strerror}") from error


def _contents_of_image(image: Path) -> bytes:
    cached = cache_directory() / "shipped" / f"{image_state('types 1', image)}.json"
    known = read_json(cached)
    if isinstance(known, str):
        return zlib.decompress(b64decode(known))
    kernel = read_kernel(image).contents
    contents = _section(BytesIO(kernel), str(image)) if kernel[:4] == ELFMAG else b""
    write_json(cached, b64encode(zlib.compress(contents, 1)).decode())
    return contents


def _section(file: IO[bytes], filename: str) -> bytes:
    # The file is not read as a whole: a vmlinux in a build tree has gigabytes of debug information.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        section = ELFFile(file).get_section_by_name(".BTF")
        return b"" if section is None else bytes(section.data())
    except (ELFError, ValueError) as error:
        raise KbuildError(f"{filename}: no sound ELF file: {error}") from error


def _types(contents: bytes, version: Version, file: Path) -> BtfTypes | None:
    if not contents:
        return None
    try:
        parts = parse_header(contents, version, is_split=False)
    except InvalidBtf as error:
        raise KbuildError(f"{file}: section .BTF: {error.reason}") from error
    return read_types(parts.types, parts.strings, version)

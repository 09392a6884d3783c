# SPDX-License-Identifier: GPL-2.0-only
"""Reads the kernel's own type information: the section .BTF of `vmlinux`, from a kernel tree or from an x86 image,
which contains a compressed `vmlinux`."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO

from kbuildpy.elf.constants import ELFMAG
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.image import read_kernel
from kbuildpy.loader.btf.header import parse_header
from kbuildpy.loader.btf.invalid import InvalidBtf
from kbuildpy.loader.btf.types import BtfTypes, read_types
from kbuildpy.loader.kernels.image_state import image_state
from kbuildpy.loader.since import Version


@lru_cache(maxsize=4)
def types_of_vmlinux(vmlinux: Path, version: Version) -> BtfTypes | None:
    """Return the types in the ELF file `vmlinux`; None if it has no .BTF. Raises `KbuildError` if it cannot be read."""
    try:
        with vmlinux.open("rb") as file:
            contents = _section(file, str(vmlinux))
    except OSError as error:
        raise KbuildError(f"{vmlinux}: {error.strerror}") from error
    return _types(contents, version, vmlinux)


@lru_cache(maxsize=4)
def types_of_image(image: Path, version: Version) -> BtfTypes | None:
    """Return the types in the kernel image `image`; None if it has no .BTF, or no section headers. The section is kept
    in the user's cache. Raises `KbuildError` for a damaged image."""
    cached = cache_directory() / "shipped" / f"{image_state('types 1', image)}.json"
    known = read_json(cached)
    if isinstance(known, str):
        return _types(zlib.decompress(b64decode(known)), version, image)
    kernel = read_kernel(image).contents
    contents = _section(BytesIO(kernel), str(image)) if kernel[:4] == ELFMAG else b""
    write_json(cached, b64encode(zlib.compress(contents, 1)).decode())
    return _types(contents, version, image)


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

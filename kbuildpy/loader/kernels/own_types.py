# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own type information: the section .BTF of its `vmlinux`, which a kernel tree may have, and an x86 image
has inside."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from kbuildpy.elf.constants import ELFMAG
from kbuildpy.elf.sections import read_sections, read_sound_ehdr
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
    """The types in the ELF file `vmlinux`; None if it has none. Raises `KbuildError` if it cannot be read."""
    try:
        # (a vmlinux that was built here has gigabytes of debug information: it is not read as a whole)
        with vmlinux.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            contents = _section(mapped, str(vmlinux))
    except OSError as error:
        raise KbuildError(f"{vmlinux}: {error.strerror}") from error
    except ValueError as error:  # (of mmap)
        raise KbuildError(f"{vmlinux}: empty file") from error
    return _types(contents, version, vmlinux)


@lru_cache(maxsize=4)
def types_of_image(image: Path, version: Version) -> BtfTypes | None:
    """The types in the kernel image `image`, kept in the user's cache; None if it has none, or no table of sections to
    find them by. Raises `KbuildError` for a damaged image."""
    cached = cache_directory() / "shipped" / f"{image_state('types 1', image)}.json"
    known = read_json(cached)
    if isinstance(known, str):
        return _types(zlib.decompress(b64decode(known)), version, image)
    kernel = read_kernel(image).contents
    contents = _section(kernel, str(image)) if kernel[:4] == ELFMAG else b""
    write_json(cached, b64encode(zlib.compress(contents, 1)).decode())
    return _types(contents, version, image)


def _section(contents: bytes | mmap, filename: str) -> bytes:
    """The section .BTF of an ELF file; empty where there is none. Raises `KbuildError` for a damaged file."""
    ehdr = read_sound_ehdr(contents, filename)
    section = next((each for each in read_sections(contents, ehdr, filename) if each.name == ".BTF"), None)
    return b"" if section is None else contents[section.offset : section.offset + section.size]


def _types(contents: bytes, version: Version, file: Path) -> BtfTypes | None:
    if not contents:
        return None
    try:
        parts = parse_header(contents, version, is_split=False)
    except InvalidBtf as error:
        raise KbuildError(f"{file}: section .BTF: {error.reason}") from error
    return read_types(parts.types, parts.strings, version)

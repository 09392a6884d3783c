# SPDX-License-Identifier: GPL-2.0-only
"""Debug information that lies in a file of its own, as gdb finds it ("Debugging Information in Separate Files").

By the build id below /usr/lib/debug and in debuginfod's cache, by `.gnu_debuglink` beside the file, and below
/usr/lib/debug at the file's own path. A file is taken only if its build id, or the checksum of the link, is right.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.compression import decompress
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.notes import build_id_in, read_notes
from kbuildpy.errors import KbuildError

_GLOBAL = "usr/lib/debug"


def build_id_of(image: ModuleImage) -> str:
    """The build id of a file in hexadecimal, "" if it has none."""
    return build_id_in(read_notes(image.contents, image.header, image.sections))


def find_debug_file(
    image: ModuleImage, file: Path, *, root: Path = Path("/"), folders: Sequence[Path] = ()
) -> ModuleImage | None:
    """The separate debug information of `image`, which was read from `file`; None if there is none to be found.

    `root` is the system's root directory; `folders` with `.build-id` in them are looked into first.
    """
    build_id = build_id_of(image)
    name, checksum = _link(image)
    for path in _candidates(file.resolve(), build_id, name, root, folders):
        found = _read(path) if path.is_file() else None
        if found is None:
            continue
        contents, debug = found
        of_file = build_id_of(debug)
        right = build_id == of_file if build_id and of_file else bool(name) and zlib.crc32(contents) == checksum
        if right and debug.section(".debug_info"):
            return debug
    return None


def _candidates(file: Path, build_id: str, name: str, root: Path, folders: Sequence[Path]) -> Iterator[Path]:
    if build_id:
        for folder in (*folders, root / _GLOBAL):
            yield folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
        cache = os.environ.get("DEBUGINFOD_CACHE_PATH") or Path(
            os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "debuginfod_client"
        )
        yield Path(cache, build_id, "debuginfo")
    below = root / _GLOBAL / file.parent.relative_to("/")
    if name:
        yield file.parent / name
        yield file.parent / ".debug" / name
        yield below / name
    if build_id:
        # (Debian's packages of kernels have the modules there, under their own names)
        yield below / file.name


def _link(image: ModuleImage) -> tuple[str, int]:
    """The file name in `.gnu_debuglink`, and the checksum of that file; "" for none."""
    section = image.section(".gnu_debuglink")
    contents = image.section_data(section) if section else b""
    name = contents.partition(b"\0")[0].decode(errors="surrogateescape")
    if len(contents) < 8 or not name or "/" in name or name in (".", ".."):
        return "", 0
    return name, int.from_bytes(contents[-4:], "little" if image.header.order == "<" else "big")


def _read(path: Path) -> tuple[bytes, ModuleImage] | None:
    """The bytes of a file and what is in them; None for one that is no ELF file, or that cannot be read."""
    try:
        contents = path.read_bytes()
        return contents, ModuleImage(decompress(contents), str(path))
    except (OSError, KbuildError):
        return None

# SPDX-License-Identifier: GPL-2.0-only
"""Tar archives with the same bytes for the same files, and reading them back.

Python's `tarfile` writes the headers; what depends on the machine (owners, dates, order) is given to it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import PurePosixPath

from kbuildpy.errors import KbuildError
from kbuildpy.package.module_package import PackageFile


def tar_of(files: Iterable[PackageFile], date: int, *, folders: bool) -> bytes:
    """An uncompressed archive of `files`, sorted; with `folders`, all directories above them are members, too."""
    chosen = sorted(files, key=lambda file: PurePosixPath(file.path).parts)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        seen: set[PurePosixPath] = set()
        for file in chosen:
            if folders:
                for parent in reversed(PurePosixPath(file.path).parents[:-1]):
                    if parent not in seen:
                        seen.add(parent)
                        archive.addfile(_member(str(parent), 0o755, date, type=tarfile.DIRTYPE))
            member = _member(file.path, file.mode, date)
            member.size = len(file.contents)
            archive.addfile(member, io.BytesIO(file.contents))
    return stream.getvalue()


def files_of(contents: bytes, what: object) -> dict[str, bytes]:
    """The files in a tar archive, by name; a link has empty contents. Raises `KbuildError` for a damaged archive."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(contents), mode="r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                file = archive.extractfile(member) if member.isreg() else None
                found[member.name.removeprefix("./")] = file.read() if file else b""
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise KbuildError(f"{what}: not a sound archive: {error}") from error
    return found


def _member(name: str, mode: int, date: int, *, type: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = type, mode, date
    member.uname = member.gname = "root"
    return member

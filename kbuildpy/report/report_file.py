# SPDX-License-Identifier: GPL-2.0-only
"""A file of a report, and the archive that they become."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

FOLDER = "kbuildpy-report"


@dataclass(frozen=True)
class ReportFile:
    """A file of a report, as it is written."""

    name: str
    """Below `FOLDER`."""
    contents: bytes
    note: str = ""
    """What to know about it before it is written."""


def archive_of(files: Sequence[ReportFile]) -> bytes:
    """The files as tar.xz. It names no user and no group, and all files have one time."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in files:
            entry = tarfile.TarInfo(f"{FOLDER}/{file.name}")
            entry.size, entry.mode = len(file.contents), 0o644
            tar.addfile(entry, io.BytesIO(file.contents))
    return lzma.compress(plain.getvalue())

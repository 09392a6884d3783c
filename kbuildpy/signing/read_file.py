# SPDX-License-Identifier: GPL-2.0-only
"""Reading the small files that signing takes: keys, certificates, signatures, lists of them."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.files import read_limited

_LARGEST = 1 << 24
"""Bytes of a file: it may be a pipe, and some devices never end."""


def read_small_file(path: Path) -> bytes:
    """The contents of a file of at most 16 MiB, which may be a pipe (a shell's `<(...)`). Raises `KbuildError`."""
    try:
        return read_limited(path, _LARGEST)
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error

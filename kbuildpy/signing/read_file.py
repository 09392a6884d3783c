# SPDX-License-Identifier: GPL-2.0-only
"""Reading the small files that signing takes: keys, certificates, signatures, lists of them."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import read_limited
from kbuildpy.similar import similar_file

_LARGEST = 1 << 24
"""Bytes of a file: it may be a pipe, and some devices never end."""


def read_small_file(path: Path, *, absent: str = "") -> bytes:
    """The contents of a file of at most 16 MiB, which may be a pipe (a shell's `<(...)`).

    Raises `UsageError` if there is no such file, with the hint `absent`, and with a similar name of a file beside it;
    `KbuildError` for one that cannot be read.
    """
    try:
        return read_limited(path, _LARGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"{path}: {error.strerror}", hint="\n".join(filter(None, (similar_file(path), absent)))
        ) from error
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error

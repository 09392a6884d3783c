# SPDX-License-Identifier: GPL-2.0-only
"""Debug information that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from struct import error as StructError

from kbuildpy.errors import KbuildError


class DamagedDebugInfo(Exception):
    """What a reader found wrong; `readable` makes it an error that names the file."""


@contextmanager
def readable(filename: str) -> Iterator[None]:
    """Turn what reading beyond the end of a section raises, and `DamagedDebugInfo`, into a `KbuildError` about
    `filename`."""
    try:
        yield
    except (DamagedDebugInfo, IndexError, OverflowError, StructError) as error:
        what = str(error) if isinstance(error, DamagedDebugInfo) else "a section ends too early"
        raise KbuildError(
            f"{filename}: its debug information is damaged: {what}", hint="build the file again, or copy it again"
        ) from error

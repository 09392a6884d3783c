# SPDX-License-Identifier: GPL-2.0-only
"""The state of a kernel's file, for what is remembered of it."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from kbuildpy.errors import KbuildError


def image_state(kind: str, image: Path) -> str:
    """A key for facts of one `kind` about the file `image` in its present state. Raises `KbuildError` if it does not
    exist."""
    try:
        status = image.stat()
    except OSError as error:
        raise KbuildError(f"{image}: {error.strerror}") from error
    state = f"{kind}\n{image.resolve()}\n{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    return blake2b(state.encode(errors="surrogateescape"), digest_size=16).hexdigest()

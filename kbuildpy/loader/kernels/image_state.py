# SPDX-License-Identifier: GPL-2.0-only
"""The cache key for facts that were read from a kernel image."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from kbuildpy.errors import KbuildError


def image_state(kind: str, image: Path) -> str:
    """Return a cache key (hexadecimal) for facts of one `kind` about `image`. It changes with the file's path, inode,
    size or one of its times. Raises `KbuildError` if the file does not exist."""
    try:
        status = image.stat()
    except OSError as error:
        raise KbuildError(f"{image}: {error.strerror}") from error
    state = f"{kind}\n{image.resolve()}\n{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}"
    return blake2b(state.encode(errors="surrogateescape"), digest_size=16).hexdigest()

# SPDX-License-Identifier: GPL-2.0-only
"""One process at a time makes a thing in the user's cache."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kbuildpy.say import complain


@contextmanager
def locked(root: Path, name: str = "", *, what: str) -> Iterator[None]:
    """Let no other process make `name` below `root`, or with no name anything there. `what` the other one does is said
    when this one has to wait."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / (f".lock-{name}" if name else ".lock")).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = f"{what} ({name})" if name else what
            complain(f"kbuildpy: another process {other}: waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

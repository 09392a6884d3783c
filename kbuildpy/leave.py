# SPDX-License-Identifier: GPL-2.0-only
"""Ends a process in which a library's call may never return.

Python waits for no such call, but the end of the interpreter gives libraries back, and a library that waits for its
hardware waits then, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_in_progress: list[object] = []


@contextmanager
def may_not_return() -> Iterator[None]:
    """While a call is in progress that may never return."""
    call = object()
    _in_progress.append(call)
    try:
        yield
    finally:
        _in_progress.remove(call)


def leave(status: int) -> int:
    """`status`, for the end of the process; if such a call is still in progress, the process ends here and now."""
    if _in_progress:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    return status

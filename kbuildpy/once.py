# SPDX-License-Identifier: GPL-2.0-only
"""`once`: what is found out at the first call, also where several threads ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def once(find: Callable[[], _Found]) -> Callable[[], _Found]:
    """A function that returns what `find` does, which is called at most once; the others wait for it. (Of
    `functools.cache` each thread that comes before the first result calls `find`.) What `find` raises is not kept."""
    lock = threading.Lock()
    found: list[_Found] = []

    def get() -> _Found:
        if not found:
            with lock:
                if not found:
                    found.append(find())
        return found[0]

    return get

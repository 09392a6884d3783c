# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM and SIGHUP end a command as SIGINT does: as an exception, so that what it started ends with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """The signal `number` came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise `Ended` in the main thread when SIGTERM or SIGHUP comes, unless it is ignored (nohup) or handled.

    Only the first one counts: what is cleaned up is not interrupted. For the main thread.
    """
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for other in taken:
            signal.signal(other, signal.SIG_IGN)
        raise Ended(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)

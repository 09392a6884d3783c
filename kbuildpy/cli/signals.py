# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM and SIGHUP end a command as SIGINT does: by an exception, so that it ends the programs it started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """The process received the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise `Ended` in the main thread on SIGTERM or SIGHUP, unless the signal is ignored (nohup) or handled already.

    Only the first signal raises, so that the clean-up is not interrupted. To be called in the main thread.
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

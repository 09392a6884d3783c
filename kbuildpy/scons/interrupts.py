# SPDX-License-Identifier: GPL-2.0-only
"""Which signal ended a build.

On SIGINT, SIGTERM and SIGHUP SCons starts nothing more, and does not tell which of them came. Python can write the
number of each signal into a pipe besides calling its handler.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from kbuildpy.say import complain

# SCons' own words for a target that it did not start any more.
INTERRUPTED = "Build interrupted."
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_pipes: list[int] = []
_came: list[int] = []
_told: list[int] = []


def watch() -> None:
    """Take note of signals from now on (in the main thread, unless another part of the program does so already)."""
    if _pipes or threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
        return
    _pipes.extend((reading, writing))


def ending_signal() -> int:
    """The first signal that came to end this run, 0 for none."""
    with suppress(BlockingIOError, IndexError):
        _came.extend(number for number in os.read(_pipes[0], 1024) if number in _ENDING)
    return _came[0] if _came else 0


def is_interruption(status: int) -> bool:
    """Whether a program that ended with `status` was ended as this run is: a terminal sends SIGINT to both."""
    return status == 128 + signal.SIGINT or (bool(ending_signal()) and status > 128)


def tell() -> None:
    """Say once that a signal ended the run, unless it came from the keyboard: the user knows."""
    number = ending_signal()
    if number and number != signal.SIGINT and not _told:
        _told.append(number)
        with suppress(OSError):
            complain(f"kbuildpy: ended by {signal.Signals(number).name}; the next build makes unfinished files again")

# SPDX-License-Identifier: GPL-2.0-only
"""Processes that end with the one that started them, however that ends: also by a signal that leaves it no time."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
# (looked up here: between fork and exec is no place for that)
_prctl = ctypes.CDLL(None).prctl


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """In a new process, before it runs another program or in place of that: get the signal `number` when `parent`
    ends."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def begin_worker(parent: int) -> None:
    """In a forked process that works for `parent`: `parent` handles interrupts, and this one ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # (a pool ends its workers by SIGTERM; the parent's handlers are not for us)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    end_with(parent)

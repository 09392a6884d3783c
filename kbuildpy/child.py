# SPDX-License-Identifier: GPL-2.0-only
"""Processes that end when their parent process ends, also when that is killed by SIGKILL."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
# (looked up at import: a new process must not do it between fork and exec)
_prctl = ctypes.CDLL(None).prctl


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """To be called in a new process: have the kernel send it the signal `number` when `parent` ends."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def begin_worker(parent: int) -> None:
    """To be called in a forked worker process of `parent`: ignore interrupts, which `parent` handles, and end with
    `parent`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # (a pool ends its workers by SIGTERM; the handlers of the parent must not run here)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    end_with(parent)

# SPDX-License-Identifier: GPL-2.0-only
"""Processes that can be interrupted, however the tests were started: a shell that starts something in the background
lets it ignore interrupts, nohup lets it ignore the end of its terminal, and its children inherit that."""

from __future__ import annotations

import signal


def can_be_interrupted() -> None:
    """To be called in the new process (`preexec_fn`)."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)

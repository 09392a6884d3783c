# SPDX-License-Identifier: GPL-2.0-only
"""Whole lines on standard output and standard error, also where several threads of a build write them.

print() writes the text and the end of the line one after the other, and another thread's line comes in between.
"""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print `text`, one or more lines without the last one's end, on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str, *, whose: str = "") -> None:
    """Print `text`, one or more lines without the last one's end, on standard error, at once; `whose` is the kernel
    that it is about, where there are several."""
    sys.stderr.write(f"For {whose}:\n{text}\n" if whose else f"{text}\n")
    sys.stderr.flush()

# SPDX-License-Identifier: GPL-2.0-only
"""Whole lines on standard output and standard error, also where several threads of a build write them.

print() writes the text and the end of the line one after the other, and another thread's line comes in between.
"""

from __future__ import annotations

import sys
from typing import TextIO


def say(text: str) -> None:
    """Print `text`, one or more lines without the last one's end, on standard output, at once."""
    write(sys.stdout, f"{text}\n")


def complain(text: str, *, whose: str = "") -> None:
    """Print `text`, one or more lines without the last one's end, on standard error, at once; `whose` is the kernel
    that it is about, where there are several."""
    write(sys.stderr, f"For {whose}:\n{text}\n" if whose else f"{text}\n")


def write(stream: TextIO, text: str) -> None:
    """Write `text` to `stream` at once.

    What programs print may be any bytes, and the stream may have any encoding: where it has no bytes for a character,
    an escape such as `\\xe9` is written.
    """
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
    stream.flush()

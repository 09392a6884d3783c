# SPDX-License-Identifier: GPL-2.0-only
"""Messages as printk() keeps and formats them (kernel/printk/printk.c: vprintk_store, printk_sprint)."""

from __future__ import annotations

from kbuildpy.loader import since
from kbuildpy.loader.kernel import LoaderKernel

_LEVEL = 2
"""Bytes that the level takes before the text, which count."""


def printk(line: str, kernel: LoaderKernel) -> str:
    """`line` as the log of the kernel has it: a record takes about 1,000 bytes, and the rest is cut off.

    The final newline goes, those within stay.
    """
    prefix = 0 if kernel.version >= since.PRINTK_WHOLE_RECORD else 48 if kernel.has("PRINTK_CALLER") else 32
    text = (line + "\n").encode("utf-8", "surrogateescape")[: 1024 - prefix - 1 - _LEVEL]
    return text.removesuffix(b"\n").decode("utf-8", "surrogateescape")


def signed(number: int) -> int:
    """A 32-bit number as `%d` prints it."""
    return number - (1 << 32) if number >> 31 else number

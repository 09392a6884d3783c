# SPDX-License-Identifier: GPL-2.0-only
"""Truncates and formats log lines as printk() does (kernel/printk/printk.c: vprintk_store, printk_sprint)."""

from __future__ import annotations

from kbuildpy.loader import since
from kbuildpy.loader.kernel import LoaderKernel

_LEVEL = 2
"""Bytes of the log level before the text, which count for the limit of a record."""


def printk(line: str, kernel: LoaderKernel) -> str:
    """Return `line` as the log of the kernel has it, truncated to the size of a record (about 1,000 bytes).

    A newline at the end is removed, others are kept.
    """
    prefix = 0 if kernel.version >= since.PRINTK_WHOLE_RECORD else 48 if kernel.has("PRINTK_CALLER") else 32
    text = (line + "\n").encode("utf-8", "surrogateescape")[: 1024 - prefix - 1 - _LEVEL]
    return text.removesuffix(b"\n").decode("utf-8", "surrogateescape")


def signed(number: int) -> int:
    """Return the unsigned 32-bit `number` as the signed number that `%d` prints."""
    return number - (1 << 32) if number >> 31 else number

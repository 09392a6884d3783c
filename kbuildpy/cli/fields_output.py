# SPDX-License-Identifier: GPL-2.0-only
"""Prints fields as modinfo does, for `kbuildpy info`."""

from __future__ import annotations

import sys

from kbuildpy.printable import printable


def write_fields(text: str) -> None:
    """Print modinfo's bytes as they are; for a terminal, which would obey some of them, printable."""
    if sys.stdout.isatty():
        print("\n".join(map(printable, text.split("\n"))), end="")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()

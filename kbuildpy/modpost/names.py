# SPDX-License-Identifier: GPL-2.0-only
"""Symbol names as modpost sees them."""

from __future__ import annotations


def without_suffix(name: str) -> str:
    """`name` without a suffix `.123` that the compiler added (modpost.c: remove_dot). Only the first dot can begin such
    a suffix."""
    stem, dot, rest = name.partition(".")
    if stem and dot:
        digits = rest.partition(".")[0]
        if digits.isascii() and digits.isdecimal():
            return stem
    return name

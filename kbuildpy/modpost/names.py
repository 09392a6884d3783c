# SPDX-License-Identifier: GPL-2.0-only
"""Symbol names as modpost sees them."""

from __future__ import annotations


def without_suffix(name: str) -> str:
    """`name` without a compiler's `.123` (modpost.c: remove_dot); only the first dot is looked at."""
    stem, dot, rest = name.partition(".")
    if stem and dot:
        digits = rest.partition(".")[0]
        if digits.isascii() and digits.isdecimal():
            return stem
    return name

# SPDX-License-Identifier: GPL-2.0-only
"""Preprocessed sources (`x.i`), compared."""

from __future__ import annotations


def without_markers(text: str) -> list[str]:
    """The lines of preprocessed C without empty ones and without markers of files and lines."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

# SPDX-License-Identifier: GPL-2.0-only
"""Compares sources that were preprocessed in different ways."""

from __future__ import annotations


def without_markers(text: str) -> list[str]:
    """The lines of a preprocessed source, without empty ones and those that name files."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

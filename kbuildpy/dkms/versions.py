# SPDX-License-Identifier: GPL-2.0-only
"""The order of versions, of packages and of kernels, as DKMS has it."""

from __future__ import annotations

import re


def version_key(version: str) -> str:
    """A string by which versions are ordered: each number in it has at least three digits."""
    return re.sub(r"\d+", lambda number: number[0].zfill(3), version)

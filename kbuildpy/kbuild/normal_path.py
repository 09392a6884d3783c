# SPDX-License-Identifier: GPL-2.0-only
"""Absolute paths of files that commands and depfiles name relative to a directory."""

from __future__ import annotations

import functools
import os


@functools.lru_cache(1 << 15)
def normal_path(cwd: str, name: str) -> str:
    """What `name` means in the directory `cwd`, without `.` and `..`. Remembered: the objects of one kernel are made
    from the same thousand headers."""
    return os.path.normpath(os.path.join(cwd, name))  # noqa: PTH118 - ten times a Path's speed

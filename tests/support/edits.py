# SPDX-License-Identifier: GPL-2.0-only
"""Edits of a file that a build must notice."""

from __future__ import annotations

import time
from pathlib import Path


def edit(path: Path, old: str, new: str) -> None:
    """Replace what stands once in a file, which must not be one of the system's."""
    assert not path.resolve().is_relative_to("/usr"), f"{path} is the system's {path.resolve()}"
    text = path.read_text()
    assert text.count(old) == 1, f"{path}: {text.count(old)} times {old!r}"
    # A file is told from its former self by its time, in ticks of a few milliseconds.
    time.sleep(0.02)
    path.unlink()
    path.write_text(text.replace(old, new))

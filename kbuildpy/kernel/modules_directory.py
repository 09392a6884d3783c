# SPDX-License-Identifier: GPL-2.0-only
"""Where the modules are that a kernel came with."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.kernel.fetched import fetched_root


def modules_directory(release: str, *, root: Path = Path("/")) -> Path | None:
    """The directory `lib/modules/RELEASE` below `root` (or `usr/lib`) that has the modules of kernel `release`, else
    the one that was fetched; None if there is none."""
    if "/" in release or release in {"", ".", ".."}:
        return None
    for top in ("lib/modules", "usr/lib/modules"):
        directory = root / top / release
        if (directory / "kernel").is_dir():
            return directory
    fetched = fetched_root() / "lib/modules" / release
    return fetched if (fetched / "kernel").is_dir() else None

# SPDX-License-Identifier: GPL-2.0-only
"""Keeps track of the files that were written in an overlay over a module directory, from one build to the next."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.overlay import Overlay, forget_folders
from kbuildpy.kbuild.stamps import stamp
from kbuildpy.kernel.cache import read_json, write_json

# Folders of version control systems: their files in the overlay must not hide newer ones of the module directory.
VERSION_CONTROL = frozenset({".git", ".hg", ".svn"})


def written_files(overlay: Overlay) -> dict[str, list[int]]:
    """The files that were written in `overlay`, by their path below the directory: modification time (ns) and size
    (bytes) of the file in the overlay, then of the file that it hides (zeros for none).

    The mark of a removed file (whiteout) counts as a file; files of a version control system are left out.
    """
    found = {}
    for name in _names(overlay.upper):
        if not _is_version_control(name):
            status = os.lstat(f"{overlay.upper}/{name}")
            found[name] = [status.st_mtime_ns, status.st_size, *stamp(f"{overlay.directory}/{name}")]
    return found


def keep(overlay: Overlay) -> dict[str, list[int]]:
    """Note that the files written in `overlay` so far are complete; returns `written_files`."""
    forget_folders(overlay)
    files = written_files(overlay)
    if (read_json(_note(overlay)) or {}) != files:
        write_json(_note(overlay), files)
    return files


def forget_outdated(overlay: Overlay) -> None:
    """Remove files from `overlay` that a killed run wrote, or that hide a source that changed since. Must be called
    before the overlay is used."""
    forget_folders(overlay)
    value = read_json(_note(overlay))
    noted: Mapping[str, Any] = value if isinstance(value, dict) else {}
    now = written_files(overlay)
    for name in list(_names(overlay.upper)):
        if name not in now or noted.get(name) != now[name]:
            Path(overlay.upper, name).unlink()


def make_removable(overlay: Overlay) -> None:
    """Remove marks of removed files (whiteouts) and pipes from the folders of `overlay`, because tools that clean the
    output do not expect them."""
    for folder, _, files in os.walk(overlay.place):
        for path in (Path(folder, name) for name in files):
            if not stat.S_ISREG(path.lstat().st_mode) and not path.is_symlink():
                path.unlink()


def _names(upper: str) -> Iterator[str]:
    for folder, names, files in os.walk(upper):
        below = folder[len(upper) + 1 :]
        for name in (*files, *(name for name in names if os.path.islink(f"{folder}/{name}"))):  # noqa: PTH114
            yield f"{below}/{name}" if below else name


def _is_version_control(name: str) -> bool:
    return not VERSION_CONTROL.isdisjoint(name.split("/"))


def _note(overlay: Overlay) -> Path:
    return Path(overlay.place, "written.json")

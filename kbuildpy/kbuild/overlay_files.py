# SPDX-License-Identifier: GPL-2.0-only
"""The files that were written in an overlay over a module directory, from one build to the next."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.overlay import Overlay, forget_folders
from kbuildpy.kbuild.stamps import stamp
from kbuildpy.kernel.cache import read_json, write_json

# Files of a version control system in the overlay must not hide its later ones among the sources.
VERSION_CONTROL = frozenset({".git", ".hg", ".svn"})


def written_files(overlay: Overlay) -> dict[str, list[int]]:
    """The files that were written in `overlay`, below the directory: the state of each here and among the sources.

    A file that was removed there counts, too; files of a version control system do not.
    """
    found = {}
    for name in _names(overlay.upper):
        if not _is_version_control(name):
            status = os.lstat(f"{overlay.upper}/{name}")
            found[name] = [status.st_mtime_ns, status.st_size, *stamp(f"{overlay.directory}/{name}")]
    return found


def keep(overlay: Overlay) -> dict[str, list[int]]:
    """Note that the files that were written in `overlay` until now are whole; returns their states."""
    forget_folders(overlay)
    files = written_files(overlay)
    if (read_json(_note(overlay)) or {}) != files:
        write_json(_note(overlay), files)
    return files


def forget_outdated(overlay: Overlay) -> None:
    """Before `overlay` is used: remove files that a killed run wrote, or that hide a source that changed since."""
    forget_folders(overlay)
    value = read_json(_note(overlay))
    noted: Mapping[str, Any] = value if isinstance(value, dict) else {}
    now = written_files(overlay)
    for name in list(_names(overlay.upper)):
        if name not in now or noted.get(name) != now[name]:
            Path(overlay.upper, name).unlink()


def make_removable(overlay: Overlay) -> None:
    """Remove marks of removed files, and pipes, from the folders of `overlay`: no tool that cleans expects them."""
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

# SPDX-License-Identifier: GPL-2.0-only
"""Files that a killed build, or another build, left behind.

SCons writes its database when it ends. A build that was killed leaves files that the database does not know, some of
them half-written, while the entries of an earlier build may still fit their sources. So a file marks a
build directory while something is made in it; where a marker is found, newer files are made again. And as a
directory may be built by SCons and by `kbuildpy build` in turn, a note names the database that knows its files.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import SCons.SConsign


def taken_beside(target: Path) -> Path:
    """What the names of files begin with that come from a shared cache, and become `target` and what is made with it:
    a dot and a number follow."""
    return target.with_name(f".{target.name}.taken")


class Unfinished:
    """The marker of one build directory `out`, built by the SCons whose top is `top`; with `read_only` nothing is
    written or removed."""

    def __init__(self, out: str, *, top: Path, read_only: bool) -> None:
        self._marker = Path(out) / ".kbuildpy" / "unfinished"
        self._owner = self._marker.with_name("notes")
        self._notes = str(top / str(SCons.SConsign.DB_Name))
        self._read_only = read_only
        self._begun = False
        self._is_partial = False
        self._since = self._found()

    def remove_unknown(self, targets: Sequence[Any]) -> None:
        """Remove those of `targets` (File nodes) that a killed build made."""
        if self._since is None or self._read_only:
            return
        for node in targets:
            path = Path(node.get_abspath())
            for left in path.parent.glob(f"{glob.escape(taken_beside(path).name)}.*"):
                left.unlink(missing_ok=True)
            try:
                if path.lstat().st_ctime_ns >= self._since:
                    path.unlink()
                    node.clear()
            except OSError:
                continue

    def leave_unknown(self) -> None:
        """This run does not know all files of the directory: what a killed build left behind stays unknown."""
        self._is_partial = self._since is not None

    def begin(self) -> None:
        """Something is about to be made."""
        if not self._begun and not self._read_only:
            self._begun = True
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            if not self._marker.exists():
                self._marker.touch()
            if self._noted() != self._notes and not self._is_partial:
                self._owner.write_text(self._notes, errors="surrogateescape")

    def end(self) -> None:
        """The run is over; SCons has written its notes, if it could."""
        if self._is_partial:
            return
        if (self._begun or self._since is not None) and not self._read_only and _is_noted():
            self._marker.unlink(missing_ok=True)

    def _noted(self) -> str:
        try:
            return self._owner.read_text(errors="surrogateescape")
        except OSError:
            return self._notes if not self._begun else ""

    def _found(self) -> int | None:
        """The time in ns since which files here are unknown; None if all are known."""
        if self._noted() != self._notes:
            return 0
        try:
            return self._marker.stat().st_ctime_ns
        except OSError:
            return None


def _is_noted() -> bool:
    """Whether everything that SCons has to note about its targets is in its file."""
    waiting = any(notes.to_be_merged for notes in SCons.SConsign.sig_files)
    return not waiting and not any(getattr(base, "_needs_sync", False) for base in SCons.SConsign.DB_sync_list)

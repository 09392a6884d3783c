# SPDX-License-Identifier: GPL-2.0-only
"""Resolves paths in an overlay over a module directory (Documentation/filesystems/overlayfs.rst).

Processes below an overlay (`namespace`) see the directory at its own path, with its links and neighbours; the files
that they write go to a folder of the output (`overlay_files`). The functions here give a process outside of the overlay
the files that those processes see.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)


class Overlay(NamedTuple):
    """An overlay over a module directory. All paths are absolute and physical."""

    directory: str
    """The module directory."""
    place: str
    """The folder of the output that holds the overlay's files."""
    out: str
    """The output directory. The overlay does not cover it, even if it is below `directory`."""

    @property
    def upper(self) -> str:
        """The folder that holds the files written in the overlay."""
        return f"{self.place}/upper"

    def find(self, path: str) -> str:
        """The file that processes in the overlay see at `path` (absolute)."""
        folder, _, name = path.rpartition("/")
        place, written = self._resolved(folder)
        place = f"{place}/{name}"
        over = self._over(place) if self._covers(place) else ""
        if (over and os.path.islink(over)) or os.path.islink(place):  # noqa: PTH114 - of a thousand names in a build
            place, written = self._resolve(path)
            over = self._over(place) if self._covers(place) else ""
        if over and os.path.lexists(over):
            return over
        return place if written else path

    def folders(self, path: str) -> list[str]:
        """The folders, one or two, whose files processes in the overlay see in the folder `path` (absolute)."""
        place, written = self._resolved(path)
        found = [place if written else path]
        return [*found, self._over(place)] if self._covers(place) else found

    def _resolved(self, folder: str) -> tuple[str, bool]:
        """The result of `_resolve` for a folder, remembered until `forget_folders`."""
        known = _folders.setdefault(self, {})
        if folder not in known:
            known[folder] = self._resolve(folder)
        return known[folder]

    def _resolve(self, path: str) -> tuple[str, bool]:
        """The path without symbolic links that `path` leads to in the overlay, and whether a file or link written there
        decides it. A link written there may lead to a file of either folder; outside the overlay the kernel would not
        resolve it so."""
        place, written, links = "/", False, 0
        rest = path.split("/")[::-1]
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                place = os.path.dirname(place)  # noqa: PTH120 - of a thousand names in a build
                continue
            place = f"{place}/{part}" if place != "/" else f"/{part}"
            over = self._over(place) if self._covers(place) else ""
            real = over if over and os.path.lexists(over) else place
            written |= real == over
            try:
                leads_to = os.readlink(real)  # noqa: PTH115
            except OSError:
                continue
            links += 1
            if links > _LINKS:
                return path, False
            place = "/" if leads_to.startswith("/") else os.path.dirname(place)  # noqa: PTH120
            rest += leads_to.split("/")[::-1]
        return place, written

    def _covers(self, path: str) -> bool:
        return path == self.directory or path.startswith(f"{self.directory}/")

    def _over(self, path: str) -> str:
        return f"{self.upper}{path[len(self.directory) :]}"


def find_in(overlay: Overlay | None, path: str) -> str:
    """The file that processes in `overlay` see at `path` (absolute); `path` itself without an overlay."""
    return overlay.find(path) if overlay else path


def forget_folders(overlay: Overlay) -> None:
    """Forget the resolved folders of `overlay`: files and links may have been written there since."""
    _folders.pop(overlay, None)


_folders: dict[Overlay, dict[str, tuple[str, bool]]] = {}
"""The resolved folders of each overlay (`Overlay._resolved`)."""

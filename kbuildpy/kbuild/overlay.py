# SPDX-License-Identifier: GPL-2.0-only
"""Where names lead in an overlay over a module directory (Documentation/filesystems/overlayfs.rst).

Processes below an overlay (`namespace`) find the directory at its own path, with its links and neighbours; what they
write goes to a folder of the output (`overlay_files`). Here it is found from outside what they find.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)


@dataclass(frozen=True)
class Overlay:
    """An overlay over a module directory. All paths are absolute and physical."""

    directory: str
    """The module directory."""
    place: str
    """The folder of the output that holds the overlay's files."""
    out: str
    """Where output goes; that is not covered, also where it is below `directory`."""

    @property
    def upper(self) -> str:
        """The folder that files are written to."""
        return f"{self.place}/upper"

    def find(self, path: str) -> str:
        """The file that processes in the overlay find at `path` (absolute)."""
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
        """The folders whose files processes in the overlay find in the folder `path` (absolute)."""
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
        """Where `path` leads in the overlay, in names without links; and whether a file or link that was written there
        decides that. Such a link may lead to files of either folder, which the kernel would not see from outside."""
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
    """The file that processes in `overlay`, if there is one, find at `path` (absolute)."""
    return overlay.find(path) if overlay else path


def forget_folders(overlay: Overlay) -> None:
    """Forget where folders lead in `overlay`, because files may have been written there."""
    _folders.pop(overlay, None)


_folders: dict[Overlay, dict[str, tuple[str, bool]]] = {}
"""Where folders lead in each overlay (`Overlay._resolved`)."""

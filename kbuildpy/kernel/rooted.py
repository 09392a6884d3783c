# SPDX-License-Identifier: GPL-2.0-only
"""The files of a system below a root directory, found as its own programs find them: a link there that begins with a
slash begins at the root, as in a chroot, and nothing leads out of it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.files import open_regular

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Rooted:
    """A system, and how its files are found."""

    root: Path = Path("/")

    @property
    def is_running(self) -> bool:
        """Whether it is the system that runs here."""
        return self.root == Path("/")

    def real(self, path: str) -> Path:
        """Where `path`, which is absolute in the system, is here, with all links followed; what is not there is where
        it would be. Raises OSError for links that lead in a circle."""
        if self.is_running:
            return Path(path)
        walked: list[str] = []
        rest = [part for part in path.split("/") if part not in ("", ".")]
        rest.reverse()
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                # (of the root it is the root again)
                del walked[-1:]
                continue
            try:
                target = os.fspath(Path(self.root, *walked, part).readlink())
            except OSError:
                walked.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise OSError(40, os.strerror(40), path)
            if target.startswith("/"):
                walked = []
            rest += reversed([word for word in target.split("/") if word not in ("", ".")])
        return Path(self.root, *walked)

    def named(self, path: Path) -> str:
        """What a file here, below the root, is called in the system."""
        return str(path) if self.is_running else f"/{path.relative_to(self.root)}"

    def is_directory(self, path: str) -> bool:
        """Whether `path` is a directory."""
        try:
            return self.real(path).is_dir()
        except OSError:
            return False

    def exists(self, path: str) -> bool:
        """Whether something is at `path`, a link to nothing not counted."""
        try:
            return self.real(path).exists()
        except OSError:
            return False

    def read(self, path: str, *, limit: int = _LIMIT) -> bytes:
        """The first `limit` bytes of the regular file `path`. Raises OSError."""
        with os.fdopen(open_regular(self.real(path)), "rb") as file:
            return file.read(limit)

    def text(self, path: str) -> str | None:
        """The same as text; None for what is not there or cannot be read."""
        try:
            return self.read(path).decode("utf-8", "surrogateescape")
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        """The names in the directory `path`, in order; none where there is no such directory, or it cannot be read."""
        try:
            return sorted(os.listdir(self.real(path)))  # noqa: PTH208
        except OSError:
            return []


def configuration_files(system: Rooted, folders: Sequence[str]) -> list[str]:
    """The files `*.conf` of `folders` in the order that kmod reads them: by name, and of two of one name that in the
    first folder. (libkmod/libkmod-config.c: conf_files_list; tools/depmod.c has its like)"""
    found: dict[str, str] = {}
    for folder in folders:
        for name in system.names(folder):
            path = posixpath.join(folder, name)
            if name.endswith(".conf") and len(name) > 5 and not name.startswith("."):
                try:
                    place = system.real(path)
                    if not place.exists() or place.is_dir():
                        continue
                except OSError:
                    continue
                found.setdefault(name, path)
    return [path for _, path in sorted(found.items(), key=lambda item: os.fsencode(item[0]))]

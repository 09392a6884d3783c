"""Files that a command is about: named one by one, or all in a directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbuildpy.errors import UsageError


def find_modules(paths: Iterable[Path], suffixes: Sequence[str]) -> list[Path]:
    """The files among `paths`, and those with one of `suffixes` in the directories among them, sorted, each once.

    Raises `UsageError` for a path that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(_below(path, tuple(suffixes)))))
        elif path.exists():
            found[path] = None
        else:
            raise UsageError(f"{path}: no such file or directory")
    return list(found)


def _below(directory: Path, suffixes: tuple[str, ...]) -> Iterable[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.endswith(suffixes):
                yield Path(folder, name)

"""Modules in directories."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kbuildpy.errors import UsageError

MODULE_SUFFIXES = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")


def find_modules(paths: Iterable[Path], suffixes: tuple[str, ...] = MODULE_SUFFIXES) -> list[Path]:
    """The files that `paths` name, each once: a file as it is, of a directory all below it that end in `suffixes`.

    In the order of `paths`, those of a directory sorted. Links to directories are not followed: `build` and `source`
    of an installed kernel lead into its headers. Pipes and devices, which might never end, are no files. Raises
    `UsageError` for a path that is one, or that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path, suffixes)))
        elif _is_endless(path):
            raise UsageError(f"{path}: neither a file nor a directory")
        elif path.exists():
            found[path] = None
        else:
            raise UsageError(f"{path}: no such file or directory")
    return list(found)


def _below(directory: Path, suffixes: tuple[str, ...]) -> list[Path]:
    names = []
    for root, _, files in os.walk(directory, onerror=_fail):
        names += [os.path.join(root, name) for name in files if name.endswith(suffixes)]  # noqa: PTH118 - 4,000 times
    return [path for path in map(Path, sorted(names)) if not _is_endless(path)]


def _is_endless(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _fail(error: OSError) -> None:
    """A directory that cannot be read is not one without modules."""
    raise error

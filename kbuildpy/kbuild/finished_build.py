# SPDX-License-Identifier: GPL-2.0-only
"""Knows a build in which nothing is left to do, without a look at its graph.

A build that found nothing to do notes all that it looked at: the files with their states, what it printed, and the
directories whose Kbuild files have to be asked anew each time. While all of that is as it was, the next build of the
same call would find nothing to do either; it prints the same, and is done. Nothing else follows from the note: where
anything differs, or the note is lost, the graph decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.kbuild.stamps import GRAIN_NS
from kbuildpy.kernel.cache import read_json, write_json

FileState = tuple[int, int, int, int]
"""Of a file: the times of its last modification and of its last change (ns), its size in bytes, and its inode. Of a
directory that is only there: zeros and its inode. Zeros for what is not there."""
_ABSENT: FileState = (0, 0, 0, 0)


class AskedAgain(NamedTuple):
    """A directory that is evaluated in each build, as its Kbuild file asks the shell or the file system."""

    objects: str
    """The object part of the kernel tree."""
    variables: Sequence[Sequence[str]]
    """The variables for make, names and values."""
    directory: str
    """The module directory (physical)."""
    out: str
    """Its output directory."""
    plan: str
    """The digest of the plan."""


class FinishedBuild(NamedTuple):
    """What a build with nothing to do looked at."""

    printed: Sequence[Sequence[str]]
    """What it printed, each text after the name of its stream: `stdout` or `stderr`."""
    files: Mapping[str, Sequence[int]]
    """The files whose states decided."""
    folders: Sequence[str]
    """Those of `files` that are directories whose list of names decided."""
    asked_again: Sequence[AskedAgain]
    """The directories that are evaluated in each build."""


def file_state(path: str, *, names_count: bool = False) -> FileState:
    """The present state of the file `path`; of a directory, its times count only if the `names_count` in it."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a thousand calls a build; Path costs more than the call
    except (OSError, ValueError):
        return _ABSENT
    if not names_count and found.st_mode & 0o170000 == 0o040000:
        return (0, 0, 0, found.st_ino)
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def states_before(began_ns: int, files: Iterable[str], folders: Iterable[str]) -> dict[str, FileState] | None:
    """The states of `files`, and of `folders` with the names in them; None if one of them may have changed since
    `began_ns`: what the build saw may have been another state."""
    states = {path: file_state(path) for path in files}
    states.update((path, file_state(path, names_count=True)) for path in folders)
    changed = max((max(state[:2]) for state in states.values()), default=0)
    return states if changed < began_ns - GRAIN_NS else None


def note_finished(path: Path, key: str, build: FinishedBuild) -> None:
    """Keep `build` in the file `path`, as the outcome of the call `key`."""
    write_json(path, {"key": key, **build._asdict()})


def noted_files(state: Path) -> set[str]:
    """The files that all builds looked at whose notes are in the folder `state`."""
    found: set[str] = set()
    for path in sorted(state.glob("finished-*")):
        value: Any = read_json(path)
        if isinstance(value, dict):
            found.update(value.get("files", ()))
    return found


def find_finished(path: Path, key: str) -> FinishedBuild | None:
    """The build that `path` has of the call `key`, if all files are as they were; None if anything differs."""
    value: Any = read_json(path)
    try:
        if value["key"] != key:
            return None
        build = FinishedBuild(
            value["printed"], value["files"], value["folders"], [AskedAgain(*item) for item in value["asked_again"]]
        )
    except (KeyError, TypeError):
        return None
    return build if is_unchanged(build) else None


def is_unchanged(build: FinishedBuild) -> bool:
    """Whether every file has the state in which `build` saw it."""
    folders = set(build.folders)
    return all(list(file_state(path, names_count=path in folders)) == state for path, state in build.files.items())

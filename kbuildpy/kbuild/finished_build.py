# SPDX-License-Identifier: GPL-2.0-only
"""Recognizes a build with nothing to do, without building SCons' graph.

A build that found nothing to do writes a note: the states of the files that it depends on, its output, and the
directories whose Kbuild files must be evaluated in each build. If all of these are unchanged, the next build of the
same call has nothing to do either: it prints the same output and ends. If anything differs, or the note is missing,
SCons builds its graph and decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.kbuild.stamps import GRAIN_NS
from kbuildpy.kernel.cache import read_json, write_json

FileState = tuple[int, int, int, int]
"""For a file: its modification time and status-change time (ns), its size in bytes, and its inode. For a directory
whose list of names does not matter: three zeros and its inode. For a missing file: zeros."""
_ABSENT: FileState = (0, 0, 0, 0)


class AskedAgain(NamedTuple):
    """A directory that must be evaluated in each build, because its Kbuild file asks the shell or the file system."""

    objects: str
    """The object part of the kernel tree."""
    variables: Sequence[Sequence[str]]
    """The variables for make, as pairs of name and value."""
    directory: str
    """The module directory (physical)."""
    out: str
    """Its output directory."""
    plan: str
    """The digest of the plan that the noted build got."""


class FinishedBuild(NamedTuple):
    """What a build with nothing to do depended on."""

    printed: Sequence[Sequence[str]]
    """Its output, as pairs of the stream's name (`stdout` or `stderr`) and the text."""
    files: Mapping[str, Sequence[int]]
    """The `FileState` of each file and directory that the build depended on."""
    folders: Sequence[str]
    """Those of `files` that are directories whose list of names matters."""
    asked_again: Sequence[AskedAgain]
    """The directories that are evaluated in each build."""


def file_state(path: str, *, names_count: bool = False) -> FileState:
    """The present state of the file `path`. The times of a directory are part of its state only with `names_count`."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a thousand calls a build; Path costs more than the call
    except (OSError, ValueError):
        return _ABSENT
    if not names_count and found.st_mode & 0o170000 == 0o040000:
        return (0, 0, 0, found.st_ino)
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def states_before(began_ns: int, files: Iterable[str], folders: Iterable[str]) -> dict[str, FileState] | None:
    """The states of `files`, and of `folders` with the names in them. None if one of them may have changed since
    `began_ns`, the start of the build: the build may have read an earlier state."""
    states = {path: file_state(path) for path in files}
    states.update((path, file_state(path, names_count=True)) for path in folders)
    changed = max((max(state[:2]) for state in states.values()), default=0)
    return states if changed < began_ns - GRAIN_NS else None


def note_finished(path: Path, key: str, build: FinishedBuild) -> None:
    """Write the note `path` for `build`; `key` identifies the call (the build request and the environment)."""
    write_json(path, {"key": key, **build._asdict()})


def noted_files(state: Path) -> set[str]:
    """The files and directories that the notes in the folder `state` name."""
    found: set[str] = set()
    for path in sorted(state.glob("finished-*")):
        value: Any = read_json(path)
        if isinstance(value, dict) and isinstance(value.get("files"), dict):
            found.update(value["files"])
    return found


def find_finished(path: Path, key: str) -> FinishedBuild | None:
    """The build in the note `path`, if it is of the call `key` and all files are unchanged; else None."""
    value: Any = read_json(path)
    try:
        if value["key"] != key:
            return None
        build = FinishedBuild(
            value["printed"], value["files"], value["folders"], [AskedAgain(*item) for item in value["asked_again"]]
        )
        return build if is_unchanged(build) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def is_unchanged(build: FinishedBuild) -> bool:
    """Whether every file has the state in which `build` saw it."""
    folders = set(build.folders)
    return all(list(file_state(path, names_count=path in folders)) == state for path, state in build.files.items())

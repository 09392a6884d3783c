# SPDX-License-Identifier: GPL-2.0-only
"""The headers that a compiler would find before those that an object was made from.

A later checkout may have one where the first had none. Those that were there and were not read stay without effect, for
`#include <NAME>` does not look beside the source: so the whole list is stored, and compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from kbuildpy.kbuild.cmd_file import CmdFile
from kbuildpy.kbuild.included_headers import searched_folders
from kbuildpy.kbuild.normal_path import normal_path


def headers_before(
    made_from: CmdFile,
    command: str,
    *,
    cwd: str,
    is_covered: Callable[[str], bool],
    find: Callable[[str], str] = str,
) -> list[str]:
    """The files that lie where the compiler may look before it finds a header that it has read, and were not read:
    absolute paths, sorted. Files that `is_covered` says another digest covers are left out; `find` returns the file
    that the compiler finds at a path."""
    source, *headers = (normal_path(cwd, name) for name in (made_from.source, *made_from.headers))
    read = {source, *headers}
    including = [source, *(path for path in headers if not is_covered(path))]
    # (an option's header is looked for in the current directory)
    first = list(dict.fromkeys([*map(os.path.dirname, including), cwd]))
    folders = searched_folders(command, cwd=cwd)
    is_folder = _Folders(find)
    found = set()
    for folder, names in _by_folder(headers).items():
        for place, below in _places(folder, folders):
            before = (f"{each}{below}" for each in dict.fromkeys([*first, *folders[:place]]))
            for other in filter(is_folder, before):
                # (most are the kernel tree's)
                all_headers = is_covered(f"{other}/x.h")
                for candidate in (f"{other}/{name}" for name in names if not (all_headers and name.endswith(".h"))):
                    if (
                        candidate not in read and not is_covered(candidate) and os.path.isfile(find(candidate))  # noqa: PTH113
                    ):
                        found.add(candidate)
    return sorted(found)


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """The names of the files `paths` by their folders."""
    found: dict[str, dict[str, None]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, {})[name] = None
    return {folder: list(names) for folder, names in found.items()}


def _places(path: str, folders: Sequence[str]) -> list[tuple[int, str]]:
    """The searched folders that the folder `path` is or is below, by their numbers, each with the rest of the path."""
    return [
        (number, path[len(folder) :])
        for number, folder in enumerate(folders)
        if path == folder or path.startswith(f"{folder}/")
    ]


class _Folders:
    """Remembers which folders are there: many headers lie in few."""

    def __init__(self, find: Callable[[str], str]) -> None:
        self._find = find
        self._known: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        if path not in self._known:
            self._known[path] = os.path.isdir(self._find(path))  # noqa: PTH112
        return self._known[path]

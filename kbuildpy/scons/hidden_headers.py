# SPDX-License-Identifier: GPL-2.0-only
"""The headers that a compiler would find before those that an object was made from.

A later checkout may have one where the first had none. Those that were there and were not read stay without effect, for
`#include <NAME>` does not look beside the source: so the whole list is stored, and compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from kbuildpy.kbuild.cmd_file import CmdFile
from kbuildpy.kbuild.included_headers import searched_folders


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
    source, *headers = (
        os.path.normpath(os.path.join(cwd, name))  # noqa: PTH118 - a thousand names an object
        for name in (made_from.source, *made_from.headers)
    )
    read = {source, *headers}
    including = [source, *(path for path in headers if not is_covered(path))]
    # (an option's header is looked for in the current directory)
    first = list(dict.fromkeys([*map(os.path.dirname, including), cwd]))
    folders = searched_folders(command, cwd=cwd)
    covered = [folder for folder in (*first, *folders) if is_covered(f"{folder}/x.h")]
    is_folder = _Folders(find)
    found = set()
    for path in dict.fromkeys(headers):
        for place, below in _places(path, folders):
            before = dict.fromkeys([*first, *folders[:place]])
            if covered and is_covered(f"{covered[0]}{below}"):
                # (and so in each of these folders)
                before = dict.fromkeys(folder for folder in before if folder not in covered)
            for candidate in (f"{folder}{below}" for folder in before):
                if (
                    is_folder(os.path.dirname(candidate))  # noqa: PTH120
                    and candidate not in read
                    and not is_covered(candidate)
                    and os.path.isfile(find(candidate))  # noqa: PTH113
                ):
                    found.add(candidate)
    return sorted(found)


def _places(path: str, folders: Sequence[str]) -> list[tuple[int, str]]:
    """The folders in which `path` may have been found, by their numbers, each with what the source calls it there."""
    return [(number, path[len(folder) :]) for number, folder in enumerate(folders) if path.startswith(f"{folder}/")]


class _Folders:
    """Remembers which folders are there: many headers lie in few."""

    def __init__(self, find: Callable[[str], str]) -> None:
        self._find = find
        self._known: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        if path not in self._known:
            self._known[path] = os.path.isdir(self._find(path))  # noqa: PTH112
        return self._known[path]

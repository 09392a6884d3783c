# SPDX-License-Identifier: GPL-2.0-only
"""Finds make variables that no makefile reads, because make ignores a misspelt variable silently.

make accepts any variable on its command line. The name of each is searched for in the makefiles of the kernel tree, in
those of the module directory, and in the scripts there, which get make's variables in their environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kbuildpy.files import read_regular
from kbuildpy.kbuild.source_copy import holds_output

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READ = re.compile(rb"\$[({]([A-Za-z_][A-Za-z0-9_]*)|\bifn?def\s+([A-Za-z_][A-Za-z0-9_]*)")
# Matches names of files that may be makefiles, or scripts that a makefile starts.
_READERS = re.compile(
    r"^(Kbuild|Makefile|GNUmakefile|configure)|\.(mk|mak|sh|bash|pl|py|awk|include)$|^(?!(?i:scons))[^.]+$"
)
_MOST_FILES = 2000
_LARGEST = 1 << 20
"""The size in bytes up to which a file is searched: a larger file is neither a makefile nor a script."""


def unread_variables(names: Iterable[str], makefiles: Sequence[str], directory: str) -> list[str]:
    """Those of `names` that neither `makefiles` nor the makefiles and scripts below `directory` ("" for none) mention.

    Names that a makefile may compute (`CFLAGS_NAME.o`) count as read. If `directory` has too many files, all count as
    read.
    """
    words = [name for name in names if _WORD.fullmatch(name)]
    return unmentioned(words, (*map(Path, makefiles), *_readers(directory))) if words else []


def unmentioned(names: Iterable[str], files: Iterable[Path | None]) -> list[str]:
    """The `names` that do not occur as a word in `files`. Empty if one of `files` is None, which stands for too many
    files. An unreadable file counts as empty."""
    left = list(names)
    for path in files:
        if path is None or not left:
            return []
        try:
            text = read_regular(path)
        except OSError:
            continue
        left = [name for name in left if not re.search(rb"(?<!\w)%b(?!\w)" % name.encode(), text)]
    return left


def variables_in(makefiles: Iterable[str]) -> list[str]:
    """The names of the variables that `makefiles` read."""
    found: dict[str, None] = {}
    for path in makefiles:
        try:
            text = Path(path).read_bytes()
        except OSError:
            continue
        found.update(dict.fromkeys((first or second).decode() for first, second in _READ.findall(text)))
    return list(found)


def _readers(directory: str) -> Iterator[Path | None]:
    seen = 0
    for folder, names, files in os.walk(directory) if directory else ():
        names[:] = [name for name in names if not name.startswith(".") and not holds_output(f"{folder}/{name}")]
        for name in files:
            seen += 1
            if seen > _MOST_FILES:
                yield None
                return
            path = f"{folder}/{name}"
            if _READERS.search(name) and _size(path) <= _LARGEST:
                yield Path(path)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0

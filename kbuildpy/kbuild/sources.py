# SPDX-License-Identifier: GPL-2.0-only
"""The files of a module directory, without the output of builds in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kbuildpy.kbuild.source_copy import holds_output

_OF_EDITORS = re.compile(r"^(\.|#)|~$")
"""The names of files that editors keep beside those that are edited; and hidden ones."""


def files_below(
    directory: Path, *, limit: int | None = None, hidden: bool = True
) -> tuple[list[str], list[str]] | None:
    """The folders below `directory`, itself included, and the files in them; None if they are more than `limit`.

    Folders whose names begin with a dot, and those that hold output, are left out; without `hidden` also such files,
    and those that editors keep beside a file.
    """
    folders: list[str] = []
    found: list[str] = []
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if not name.startswith(".") and not holds_output(f"{folder}/{name}")]
        folders.append(folder)
        found += (f"{folder}/{name}" for name in files if hidden or not _OF_EDITORS.search(name))
        if limit is not None and len(folders) + len(found) > limit:
            return None
    return folders, found

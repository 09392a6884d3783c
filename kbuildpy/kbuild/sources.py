# SPDX-License-Identifier: GPL-2.0-only
"""Lists the files of a module directory without the output of builds in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kbuildpy.kbuild.source_copy import holds_output


def walk_sources(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder below `directory`, itself included, and the paths of the files in it. Folders whose names begin with
    a dot, and those that hold output, are left out."""
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if not name.startswith(".") and not holds_output(f"{folder}/{name}")]
        yield folder, [f"{folder}/{name}" for name in files]

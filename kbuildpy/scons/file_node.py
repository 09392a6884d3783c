# SPDX-License-Identifier: GPL-2.0-only
"""The node of a file that is made or read, where the path may be something else already."""

from __future__ import annotations

from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.check_paths import check_encoding


def file_node(env: Any, path: object) -> Any:
    """The node of the file `path`, relative to the top directory.

    Raises `KbuildError` if a directory is there, or a file where a directory must be, or the name is not UTF-8.
    """
    check_encoding(str(path))
    try:
        return env.fs.File(str(path))
    except TypeError as mismatch:
        raise KbuildError(str(mismatch).rstrip("."), hint="move it out of the way, and build again") from mismatch

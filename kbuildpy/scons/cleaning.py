# SPDX-License-Identifier: GPL-2.0-only
"""Cleaning (`-c`), where SCons does it in another way than users expect.

SCons removes a target and all that it is made from: `scons -c install` would remove the built modules with the
installed ones, and `scons -c run` with the reports. And it leaves the folders that it emptied.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kbuildpy.scons.options import is_cleaning


def sources_unless_cleaning(env: Any, sources: Sequence[Any]) -> list[Any]:
    """`sources`, or none where `-c` must not go on to them."""
    return [] if is_cleaning(env) else list(sources)


def clean_with(env: Any, module: Any, *files: Any) -> None:
    """Let `-c` remove `files`, which tell of `module`, with that."""
    if is_cleaning(env):
        env.Clean(module, list(files))


def remove_empty_folders(folder: Path, *, stop: Path) -> None:
    """Remove empty folders below `folder`, then `folder` and its parents where they are empty, up to `stop`, which
    stays."""
    remove_empty_below(folder)
    remove_empty_parents(folder.parent, stop=stop)


def remove_empty_below(folder: Path) -> None:
    """Remove `folder` if it is empty, and before it all empty folders in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(place).rmdir()


def remove_empty_parents(folder: Path, *, stop: Path) -> None:
    """Remove `folder` if it is empty, and then its parents, up to `stop`, which stays."""
    with suppress(OSError):
        while stop in folder.parents:
            folder.rmdir()
            folder = folder.parent

"""What `-c` takes away beside the targets themselves.

SCons removes all that a target is made from. An alias such as `install` or `run` stands for what was done with modules,
though, and taking that back leaves the build. And SCons leaves the folders that it emptied.
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
    """Let `-c` remove `files` with `module`, of which they tell."""
    if is_cleaning(env):
        env.Clean(module, list(files))


def remove_empty_folders(folder: Path, *, stop: Path) -> None:
    """Remove what is empty below `folder`, then `folder` and what it lies in, up to `stop`, which stays."""
    remove_empty_below(folder)
    remove_empty_parents(folder.parent, stop=stop)


def remove_empty_below(folder: Path) -> None:
    """Remove `folder` if it is empty, and before it all empty folders in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(place).rmdir()


def remove_empty_parents(folder: Path, *, stop: Path) -> None:
    """Remove `folder` if it is empty, and then what it lies in, up to `stop`, which stays."""
    with suppress(OSError):
        while stop in folder.parents:
            folder.rmdir()
            folder = folder.parent

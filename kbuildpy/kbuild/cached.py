# SPDX-License-Identifier: GPL-2.0-only
"""Values that are kept in files for as long as the files that they were made from stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kbuildpy.kbuild.stamps import Stamp, stamp
from kbuildpy.kernel.cache import read_json, write_json

T = TypeVar("T")


def cached(path: Path, ask: Callable[[], tuple[Any, Mapping[str, Stamp]]], *, read: Callable[[Any], T]) -> T:
    """What `read` makes of the JSON value in `path`; where that does not hold any more, of what `ask` answers.

    `ask` returns the value and the stamps of the files that it was made from; both are kept in `path`. Raises what
    `ask` raises.
    """
    known = recall(path)
    if known is not None:
        try:
            return read(known)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # written by another version of kbuildpy: ask again
    value, seen = ask()
    remember(path, value, seen)
    return read(value)


def remember(path: Path, value: Any, seen: Mapping[str, Stamp], *, key: str = "") -> None:
    """Keep `value` (JSON, not None) in `path`: the answer to the question `key`, while files have the stamps `seen`."""
    write_json(path, {"key": key, "stamps": seen, "value": value})


def recall(path: Path, *, key: str = "") -> Any:
    """The value that `remember` kept in `path` for `key`; None if there is no such value, or a file has another stamp.

    Looks at files up to the first one that changed.
    """
    known = read_json(path)
    try:
        if known["key"] == key and all(list(stamp(name)) == seen for name, seen in known["stamps"].items()):
            return known["value"]
    except (AttributeError, KeyError, TypeError):
        pass  # nothing was kept, or another version of kbuildpy kept it
    return None

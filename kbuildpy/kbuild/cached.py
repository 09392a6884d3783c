# SPDX-License-Identifier: GPL-2.0-only
"""Caches JSON values in files until a file that the value was made from changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kbuildpy.kbuild.stamps import Stamp, changed_since, stamp
from kbuildpy.kbuild.transient_environment import mentions_transient, transient_key
from kbuildpy.kernel.cache import read_json, write_json

T = TypeVar("T")


def cached(
    path: Path,
    ask: Callable[[], tuple[Any, Mapping[str, Stamp]]],
    *,
    read: Callable[[Any], T],
    variables: Mapping[str, str] | None = None,
) -> T:
    """`read` of the JSON value that is cached in `path`, or else of the value that `ask` returns.

    `ask` is called if nothing is cached, if a file changed since, or if `read` cannot read the cached value. It returns
    the value and the stamps of the files that it was made from; both are kept in `path`. `variables` are those that
    make has, of the environment or its command line: transient ones count if a file or another variable mentions one.
    Raises what `ask` raises.
    """
    known = recall(path, variables=variables)
    if known is not None:
        try:
            return read(known)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # written by another version of kbuildpy: ask again
    began_ns = time.time_ns()
    value, seen = ask()
    remember(path, value, seen, began_ns=began_ns, variables=variables)
    return read(value)


def remember(
    path: Path,
    value: Any,
    seen: Mapping[str, Stamp],
    *,
    began_ns: int | None,
    key: str = "",
    variables: Mapping[str, str] | None = None,
) -> None:
    """Keep `value` (JSON, not None) in `path`: the answer to the question `key`, while files have the stamps `seen`.

    `began_ns` is when the question was asked. If a file changed after it, the value may be of the file's former
    content, and is not kept. None: the caller has checked that no file changed. `variables` are as for `cached`.
    """
    if began_ns is not None and any(changed_since(name, began_ns) for name in seen):
        return
    count = variables is not None and mentions_transient(seen, variables)
    transient = transient_key(variables) if variables is not None and count else ""
    write_json(path, {"key": key, "stamps": seen, "value": value, "transient": transient})


def recall(path: Path, *, key: str = "", variables: Mapping[str, str] | None = None) -> Any:
    """The value that `remember` kept in `path` for `key` and `variables`; None if there is none, or if a file has
    another stamp."""
    known = read_json(path)
    try:
        if known["key"] != key or (known["transient"] and known["transient"] != transient_key(variables or {})):
            return None
        if all(list(stamp(name)) == seen for name, seen in known["stamps"].items()):
            return known["value"]
    except (AttributeError, KeyError, TypeError):
        pass  # nothing was kept, or another version of kbuildpy kept it
    return None

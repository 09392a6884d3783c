# SPDX-License-Identifier: GPL-2.0-only
"""Suggestions for a misspelt name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from kbuildpy.errors import UsageError


def did_you_mean(name: str, names: Iterable[str], *, cutoff: float = 0.7) -> str:
    """A question with the result of `most_similar`; empty when there is none."""
    found = most_similar(name, names, cutoff=cutoff)
    return f"did you mean {found}?" if found else ""


def most_similar(name: str, names: Iterable[str], *, cutoff: float = 0.7) -> str:
    """The one of `names` that is most like `name`; "" when none is like it by `cutoff` (1: all characters are the
    same)."""
    import difflib  # (for errors only)

    by_letters = {other.lower(): other for other in names if other != name}
    found = difflib.get_close_matches(name.lower(), by_letters, n=1, cutoff=cutoff)
    return by_letters[found[0]] if found else ""


def no_such_path(path: str | Path) -> UsageError:
    """The error for a file or directory that is not there."""
    folder, name = os.path.split(path)
    hint = similar_file(path)
    if name == "build" and any(os.path.isfile(os.path.join(folder, file)) for file in ("Kbuild", "Makefile")):  # noqa: PTH113, PTH118
        hint = f"build the modules first: kbuildpy build {shlex.quote(folder or '.')}"
    return UsageError(f"{path}: no such file or directory", hint=hint)


def similar_file(path: str | Path, suffixes: tuple[str, ...] = ("",)) -> str:
    """The same question for a file or directory that is not there, among what is beside it and has one of the
    endings `suffixes`; for the first folder of its path that is not there, if one is not."""
    folder, name = os.path.split(path)
    if folder and not os.path.lexists(folder):
        return similar_file(folder)
    try:
        return did_you_mean(name, [other for other in os.listdir(folder or ".") if other.endswith(suffixes)])  # noqa: PTH208
    except OSError:
        return ""

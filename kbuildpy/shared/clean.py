# SPDX-License-Identifier: GPL-2.0-only
"""Bounds the size of a store: what was not used for longest goes first."""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.shared.store import Store, Stored


class Cleaned(NamedTuple):
    """What there was, and what was removed of it."""

    entries: int
    """How many entries there were."""
    size: int
    """Their bytes."""
    removed: int
    """How many were removed."""
    freed: int
    """Their bytes."""


def clean_store(store: Store, *, most: int | None, dry_run: bool = False) -> Cleaned:
    """Remove entries of `store` until it has no more than `most` bytes (None: any number); with `dry_run` say only what
    would be removed. Builds may use it meanwhile. Raises `KbuildError` if the store cannot tell what it has."""
    found = sorted(store.entries(), key=_oldest_first)
    size = sum(entry.size for entry in found)
    removed, freed = 0, 0
    for entry in found if most is not None else ():
        if size - freed <= (most or 0):
            break
        if not dry_run:
            store.remove(entry.name)
        removed += 1
        freed += entry.size
    return Cleaned(len(found), size, removed, freed)


def _oldest_first(entry: Stored) -> tuple[float, str]:
    return entry.used, entry.name

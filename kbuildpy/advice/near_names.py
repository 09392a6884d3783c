# SPDX-License-Identifier: GPL-2.0-only
"""The names that are most like a given one, among tens of thousands.

`difflib` compares two names in 20 us, which is half a second for a kernel's exports. Names that share few pairs of
letters are left out first. The kernel renames by moving words (`del_timer_sync` became `timer_delete_sync`), so names
are compared with their words in alphabetical order, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

_COMPARED = 60
"""Names that are compared letter by letter."""
_CUTOFF = 0.8
_WORSE = 0.08
"""How much less like the name than the best one a second one may be."""


@dataclass(frozen=True)
class NearNames:
    """Names to choose from."""

    names: Sequence[str]

    @cached_property
    def _pairs(self) -> list[frozenset[str]]:
        return [_pairs_of(name) for name in self.names]

    def nearest(self, name: str, *, most: int = 2, cutoff: float = _CUTOFF) -> tuple[str, ...]:
        """The names that are like `name` by `cutoff` (1: the same letters) at least, the most likely first."""
        import difflib  # (for errors only)

        wanted = _pairs_of(name)
        if not wanted:
            return ()
        # (Dice's coefficient, of which a name that passes the cutoff has half as much at least)
        scores = [
            (2 * len(wanted & pairs) / (len(wanted) + len(pairs)), number)
            for number, pairs in enumerate(self._pairs)
            if pairs
        ]
        best = sorted((item for item in scores if item[0] >= cutoff / 2), reverse=True)[:_COMPARED]
        found: dict[str, float] = {}
        plain, ordered = difflib.SequenceMatcher(autojunk=False), difflib.SequenceMatcher(autojunk=False)
        plain.set_seq2(name.lower())
        ordered.set_seq2(_in_order(name))
        for _, number in best:
            other = self.names[number]
            if other == name:
                continue
            plain.set_seq1(other.lower())
            ordered.set_seq1(_in_order(other))
            score = max(plain.ratio(), ordered.ratio() * 0.98)
            if score >= cutoff:
                found[other] = score
        ranked = sorted(found, key=lambda other: (-found[other], other))[:most]
        return tuple(other for other in ranked if found[other] > found[ranked[0]] - _WORSE)


def near_names(names: Iterable[str]) -> NearNames:
    """`names`, each once."""
    return NearNames(tuple(dict.fromkeys(names)))


def _pairs_of(name: str) -> frozenset[str]:
    text = name.lower()
    return frozenset(map("".join, itertools.pairwise(text)))


def _in_order(name: str) -> str:
    return " ".join(sorted(name.lower().strip("_").split("_")))

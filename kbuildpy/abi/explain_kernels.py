# SPDX-License-Identifier: GPL-2.0-only
"""What changed between two kernels for all modules: their exported symbols, and the types behind the CRCs."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from kbuildpy.abi.changed_types import ChangedTypes
from kbuildpy.abi.compare_types import Difference
from kbuildpy.abi.explain_module import Side, Why, explain_crc, root_of
from kbuildpy.abi.exports import ExportChange, compare_exports


@dataclass(frozen=True)
class SymbolReport:
    """A symbol that is not the same in both kernels, or that was asked for."""

    change: ExportChange
    why: Why | None
    """Of a symbol with another CRC whose types were looked at."""


@dataclass(frozen=True)
class ChangedType:
    """A type that differs, and the symbols with another CRC of which it is the nearest such type."""

    title: str
    differences: tuple[Difference, ...]
    symbols: tuple[str, ...]
    within: tuple[str, ...]
    """The types in it that changed, too."""


@dataclass(frozen=True)
class KernelsReport:
    """Two kernels."""

    old: Side
    new: Side
    counts: tuple[int, int]
    """The numbers of exported symbols."""
    symbols: tuple[SymbolReport, ...]
    types: tuple[ChangedType, ...]
    """The types that changed, those that explain most symbols first."""

    def having(self, kind: str) -> list[SymbolReport]:
        """The symbols that changed in this way (`ExportChange.kinds`)."""
        return [each for each in self.symbols if kind in each.change.kinds]


def explain_kernels(
    old: Side, new: Side, patterns: tuple[str, ...] = (), *, with_modules: bool = False
) -> KernelsReport:
    """Compare two kernels: all symbols that changed, or those that match one of `patterns`.

    `with_modules` also looks at the types of what the kernels' modules export, which takes reading these. Raises
    `KbuildError` for a kernel whose exports are not known.
    """
    counts = [0, 0]
    changes = []
    for change in compare_exports(old.kernel, new.kernel):
        counts[0] += change.old is not None
        counts[1] += change.new is not None
        if any(fnmatchcase(change.symbol, pattern) for pattern in patterns) if patterns else change.kinds:
            changes.append(change)
    changed = ChangedTypes(old.types, new.types) if old.types and new.types else None
    looked_at = [change for change in changes if change.crc and (patterns or with_modules or _is_of_kernel(change))]
    if changed is not None:
        for change in looked_at:
            root_of(change, old, new, changed)
    explained = {change.symbol: explain_crc(change, old, new, changed)[0] for change in looked_at}
    reports = tuple(SymbolReport(change, explained.get(change.symbol)) for change in changes)
    return KernelsReport(old, new, (counts[0], counts[1]), reports, _types(reports, changed))


def _is_of_kernel(change: ExportChange) -> bool:
    return change.old is not None and change.new is not None and not change.old.owner and not change.new.owner


def _types(reports: tuple[SymbolReport, ...], changed: ChangedTypes | None) -> tuple[ChangedType, ...]:
    if changed is None:
        return ()
    explained: dict[str, list[str]] = {}
    for each in reports:
        if each.why is not None and each.why.way is not None and each.why.way.title:
            explained.setdefault(each.why.way.title, []).append(each.change.symbol)
    found: dict[str, ChangedType] = {}
    for pair in changed.pairs():
        hard, title = changed.local(pair).hard, changed.title(pair)
        if hard and title:
            found.setdefault(
                title, ChangedType(title, tuple(hard), tuple(explained.get(title, ())), changed.within(pair))
            )
    return tuple(sorted(found.values(), key=_rank))


def _rank(item: ChangedType) -> tuple[int, str]:
    return -len(item.symbols), item.title

# SPDX-License-Identifier: GPL-2.0-only
"""Modules that a kernel loads one by one, but not together: both export one symbol.

Counterpart: kernel/module/main.c: verify_exported_symbols, which compares with the modules that are
loaded already. Two files of one module are left out: only one of them is ever loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbuildpy.loader.verdict import Exclusion, Verdict


def with_exclusions(rows: Sequence[Sequence[Verdict]]) -> list[list[Verdict]]:
    """`rows` of verdicts, one for each file, where those that accept a module name the other files that cannot be
    loaded while it is."""
    exporting: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in (verdict for row in rows for verdict in row):
        for symbol in verdict.exports:
            exporting.setdefault((verdict.kernel, symbol), []).append(verdict)
    return [[_with_others(verdict, exporting) for verdict in row] for row in rows]


def _with_others(verdict: Verdict, exporting: dict[tuple[str, str], list[Verdict]]) -> Verdict:
    found: dict[str, Exclusion] = {}
    for symbol in verdict.exports:
        for other in exporting[verdict.kernel, symbol]:
            if other.name != verdict.name and other.file not in found:
                # (the kernel goes through the exports of the second one, and names the first that is taken)
                named = next(each for each in other.exports if each in verdict.exports)
                line = f"{other.name}: exports duplicate symbol {named} (owned by {verdict.name})"
                found[other.file] = Exclusion(other.file, named, line)
    return replace(verdict, excludes=tuple(found.values())) if found else verdict

# SPDX-License-Identifier: GPL-2.0-only
"""Modules that a kernel loads alone, but not together, because they export the same symbol.

Counterpart: kernel/module/main.c: verify_exported_symbols, which compares with the loaded modules. Two files of the
same module name are not compared: the kernel never has both loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbuildpy.loader.verdict import Exclusion, Verdict


def with_exclusions(rows: Sequence[Sequence[Verdict]]) -> list[list[Verdict]]:
    """Return `rows` (one of verdicts for each file) with `excludes` set: the other files that the same kernel refuses
    while the module is loaded."""
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
                # The kernel checks the exports of the second module in order; its message names the first duplicate.
                named = next(each for each in other.exports if each in verdict.exports)
                line = f"{other.name}: exports duplicate symbol {named} (owned by {verdict.name})"
                found[other.file] = Exclusion(other.file, named, line)
    return replace(verdict, excludes=tuple(found.values())) if found else verdict

# SPDX-License-Identifier: GPL-2.0-only
"""The answers of `kbuildpy abi` as JSON objects (docs/json.md)."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.abi.compare_types import Difference
from kbuildpy.abi.explain_kernels import ChangedType, SymbolReport
from kbuildpy.abi.explain_module import ImportReport, ModuleReport, TypeReport, Why
from kbuildpy.abi.verdict import outcome_of
from kbuildpy.loader.kernel import KernelExport
from kbuildpy.loader.verdict import Verdict

Json = dict[str, object]


def symbol_json(report: SymbolReport, old: str, new: str) -> Json:
    """A symbol of two kernels."""
    return {
        "symbol": report.change.symbol,
        "from": old,
        "to": new,
        "changes": list(report.change.kinds),
        "old": _export(report.change.old),
        "new": _export(report.change.new),
        "why": _why(report.why),
    }


def type_json(each: ChangedType, old: str, new: str) -> Json:
    """A type that changed."""
    return {
        "type": each.title,
        "from": old,
        "to": new,
        "differences": _differences(each.differences),
        "within": list(each.within),
        "symbols": list(each.symbols),
    }


def module_json(report: ModuleReport, verdict: Verdict | None, old: str, new: str) -> Json:
    """A module."""
    outcome = outcome_of(report, verdict)
    return {
        "file": report.file,
        "from": old,
        "to": new,
        "built_for": report.built_for,
        "outcome": outcome.state,
        "summary": outcome.words,
        "notes": list(report.notes),
        "loader": None if verdict is None else verdict.to_json(),
        "imports": [_import(each) for each in report.imports],
        "types": {
            "state": report.view.state,
            "note": report.view.note,
            "compared": report.view.compared,
            "not_compared": list(report.view.absent),
            "differing": [_type(each) for each in report.view.types],
        },
    }


def _import(each: ImportReport) -> Json:
    return {
        "symbol": each.symbol,
        "crc": each.crc,
        "weak": each.is_weak,
        "problems": list(each.problems),
        "by_header": each.by_header,
        "old": _export(each.change.old),
        "new": _export(each.change.new),
        "why": _why(each.why),
    }


def _type(each: TypeReport) -> Json:
    return {
        "type": each.title,
        "differences": _differences(each.differences),
        "symbols": list(each.symbols),
        "declared": [item._asdict() for item in each.mentions],
        "members": [item._asdict() for item in each.accesses],
    }


def _export(export: KernelExport | None) -> Json | None:
    if export is None:
        return None
    return {
        "owner": export.owner or "vmlinux",
        "crc": export.crc,
        "gpl_only": export.gpl_only,
        "namespace": export.namespace,
    }


def _why(why: Why | None) -> Json | None:
    if why is None:
        return None
    way = why.way
    return {
        "path": None if way is None else [step._asdict() for step in way.steps],
        "type": None if way is None else way.title or None,
        "differences": [] if way is None else _differences(way.differences),
        "within": [] if way is None else list(way.within),
        "others": why.others,
        "note": why.note,
    }


def _differences(differences: Sequence[Difference]) -> list[Json]:
    return [{"kind": each.weight.name.lower(), "text": each.words} for each in differences]

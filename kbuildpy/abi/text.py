# SPDX-License-Identifier: GPL-2.0-only
"""The answers of `kbuildpy abi` as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbuildpy.abi.changed_types import Way
from kbuildpy.abi.compare_types import Difference
from kbuildpy.abi.explain_kernels import KernelsReport, SymbolReport
from kbuildpy.abi.explain_module import ImportReport, ModuleReport, OwnView, TypeReport, Why
from kbuildpy.abi.exports import exports_of
from kbuildpy.abi.module_view import short_path, short_places
from kbuildpy.abi.verdict import outcome_of
from kbuildpy.loader.verdict import Verdict

_SYMBOLS = 12
_TYPES = 15
_DIFFERENCES = 4
_PLACES = 5


def way_words(way: Way) -> str:
    """`parameter 1 (p) -> struct task_struct -> .mm -> struct mm_struct`; "its signature" for no step."""
    if not way.steps:
        return way.title or "its signature"
    first, *others = way.steps
    words = [way.start, f".{first.label}" if way.start and first.label else first.label, first.title]
    words += [word for step in others for word in (f".{step.label}", step.title)]
    return " -> ".join(word for word in words if word)


def why_words(why: Why, *, verbose: bool = False) -> str:
    """Why a symbol has another CRC, in one line."""
    if why.way is None:
        return why.note
    others = f" (and {why.others} other changed types)" if why.others else ""
    note = f"; {why.note}" if why.note else ""
    differences = differences_words(why.way.differences, verbose=verbose) + _within(why.way.within)
    return f"{way_words(why.way)}: {differences}{note}{others}"


def differences_words(differences: Sequence[Difference], *, verbose: bool) -> str:
    """Differences in one line, the gravest first."""
    ordered = sorted(differences, key=lambda each: each.weight)
    shown = [each.words for each in (ordered if verbose else ordered[:_DIFFERENCES])]
    more = len(ordered) - len(shown)
    return "; ".join(shown + ([f"and {more} more"] if more else []))


def _within(titles: Sequence[str]) -> str:
    return f"; {', '.join(titles[:3])} in it changed" if titles else ""


def kernels_lines(report: KernelsReport, *, verbose: bool, asked: bool) -> Iterator[str]:
    """The comparison of two kernels; `asked`: symbols were named."""
    old, new = report.old.kernel.release, report.new.kernel.release
    same = report.counts[1] - len(report.having("came")) - len(report.having("crc"))
    if not asked:
        crcs = f"{len(report.having('crc'))} have another CRC, {same} the same"
        silent = [side.kernel.release for side in (report.old, report.new) if not exports_of(side.kernel).modversions]
        if silent:
            crcs = f"CRCs are not compared: {' and '.join(silent)} without modversions"
        yield (
            f"{old} exports {report.counts[0]} symbols, {new} {report.counts[1]}: {len(report.having('gone'))} are "
            f"gone, {len(report.having('came'))} came, {crcs}"
        )
        yield from _listed("gone", report.having("gone"), verbose)
        yield from _listed("came", report.having("came"), verbose)
        yield from _listed("for GPL-compatible modules only now", report.having("gpl-only"), verbose=True)
        yield from _listed("for every module now", report.having("free"), verbose=True)
        yield from _namespaces(report.having("namespace"), verbose=verbose)
        yield from _listed("exported by another module now", report.having("moved"), verbose)
        yield from _types_lines(report, verbose=verbose)
    for each in report.symbols if asked or verbose else ():
        yield from _symbol_lines(each, old, new, verbose=verbose)


def _namespaces(symbols: Sequence[SymbolReport], *, verbose: bool) -> Iterator[str]:
    for each in symbols if verbose else symbols[:_SYMBOLS]:
        before, after = (export.namespace or "none" for export in (each.change.old, each.change.new) if export)
        yield f"  {each.change.symbol}: namespace {before} -> {after}"
    if not verbose and len(symbols) > _SYMBOLS:
        yield f"  and {len(symbols) - _SYMBOLS} more symbols are in another namespace (-v lists them)"


def _types_lines(report: KernelsReport, *, verbose: bool) -> Iterator[str]:
    for side in (report.old, report.new):
        if side.no_types:
            yield f"why CRCs changed is not known: {side.no_types}"
            return
    shown = report.types if verbose else report.types[:_TYPES]
    if not shown:
        return
    yield f"{len(report.types)} types changed; how many symbols of the kernel itself have each as the nearest:"
    for each in shown:
        differences = differences_words(each.differences, verbose=verbose) + _within(each.within)
        yield f"  {len(each.symbols):5} {each.title}: {differences}"
    if len(shown) < len(report.types):
        yield f"  and {len(report.types) - len(shown)} more types (-v lists them, and every symbol)"
    unclear = [each for each in report.symbols if each.why is not None and each.why.way is None]
    notes = dict.fromkeys(each.why.note for each in unclear if each.why)
    for note in notes:
        symbols = [each for each in unclear if each.why and each.why.note == note]
        yield from _listed(note, symbols, verbose)


def _symbol_lines(each: SymbolReport, old: str, new: str, *, verbose: bool) -> Iterator[str]:
    change = each.change
    if change.old is None or change.new is None:
        yield f"{change.symbol}: {f'only {new} exports it' if change.new else f'{new} does not export it'}"
        return
    said = [kind for kind in change.kinds if kind != "crc"]
    if change.crc:
        said.insert(0, f"CRC 0x{change.old.crc or 0:08x} -> 0x{change.new.crc or 0:08x}")
    yield f"{change.symbol}: {', '.join(said) or 'the same'}"
    if each.why is not None:
        yield f"  {why_words(each.why, verbose=verbose)}"


def _listed(what: str, symbols: Sequence[SymbolReport], verbose: bool) -> Iterator[str]:
    if symbols:
        names = [each.change.symbol for each in symbols]
        shown = names if verbose else names[:_SYMBOLS]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        yield f"  {what}: {', '.join(shown)}{more}"


def module_lines(report: ModuleReport, verdict: Verdict | None, new: str, *, verbose: bool) -> Iterator[str]:
    """What a module meets in kernel `new`."""
    outcome = outcome_of(report, verdict)
    yield f"{report.file}: built for {report.built_for or 'an unknown kernel'}; with {new}: {outcome.words}"
    for note in report.notes:
        yield f"  note: {note}"
    yield from _loader_lines(verdict)
    for each in report.must_be_changed:
        yield f"  {each.symbol}: {_problem_words(each, new)}"
    foreign = [each.symbol for each in report.imports if "foreign" in each.problems]
    if foreign:
        yield f"  neither kernel exports {', '.join(foreign)}: other modules have to"
    crcs = report.other_crcs
    exports = [each.change.new for each in report.imports if each.change.new]
    if exports and not any(export.crc for export in exports):
        yield f"  symbols: {new} has no CRCs to compare"
    else:
        yield f"  symbols: {len(crcs)} of {len(report.imports)} imports have another CRC"
    for each in crcs if verbose else crcs[:_SYMBOLS]:
        yield f"    {each.symbol}: {why_words(each.why, verbose=verbose) if each.why else ''}"
    if not verbose and len(crcs) > _SYMBOLS:
        yield f"    and {len(crcs) - _SYMBOLS} more (-v lists them)"
    yield from _view_lines(report.view, new, verbose=verbose)


def _loader_lines(verdict: Verdict | None) -> Iterator[str]:
    if verdict is None:
        return
    if verdict.accepted:
        yield "  loader: accepts it"
    else:
        yield f"  loader: refuses it ({verdict.errno or 'undefined'}): {verdict.reason}"
    for item in verdict.unchecked:
        yield f"    not checked: {item.sentence}"


def _problem_words(each: ImportReport, new: str) -> str:
    words = []
    if "gone" in each.problems:
        hidden = "; the module's sources do not name it, so a header of the old kernel may have used it"
        words.append(f"{new} does not export it" + (hidden if each.by_header else ""))
    if "gpl-only" in each.problems:
        words.append(f"{new} exports it for GPL-compatible modules only, and this one is not")
    if "namespace" in each.problems and each.change.new:
        name = each.change.new.namespace
        if name.startswith("module:"):
            words.append(f"{new} exports it for these modules only: {name.removeprefix('module:')}")
        else:
            words.append(f"{new} exports it in namespace {name}, which the module does not import: MODULE_IMPORT_NS")
    return "; ".join(words)


def _view_lines(view: OwnView, new: str, *, verbose: bool) -> Iterator[str]:
    if view.state == "unknown":
        yield f"  the module's own view of types is not known: {view.note}"
        return
    if view.state == "same":
        yield (
            f"  the module's own view of types: the {view.compared} types that it describes and {new} has are the same "
            f"in {new}"
        )
    else:
        yield f"  the module's own view of types: {len(view.types)} of {view.compared} differ from those of {new}"
    for each in view.types if verbose else view.types[:_TYPES]:
        yield from _type_lines(each, view.directory, verbose=verbose)
    if not verbose and len(view.types) > _TYPES:
        yield f"    and {len(view.types) - _TYPES} more (-v lists them)"
    if view.absent:
        shown = view.absent if verbose else view.absent[:_PLACES]
        more = f" and {len(view.absent) - len(shown)} more" if len(shown) < len(view.absent) else ""
        yield f"    not compared, as the type information of {new} does not have them: {', '.join(shown)}{more}"
    if verbose or view.state == "same":
        yield f"    {view.note}"


def _type_lines(each: TypeReport, directory: str, *, verbose: bool) -> Iterator[str]:
    yield f"    {each.title}: {differences_words(each.differences, verbose=verbose)}"
    if each.symbols:
        shown = each.symbols if verbose else each.symbols[:_PLACES]
        more = f" and {len(each.symbols) - len(shown)} more" if len(shown) < len(each.symbols) else ""
        yield f"      imports that lead to it: {', '.join(shown)}{more}"
    yield from _first(list(short_places(each.mentions, directory)), verbose, "declared at")
    used = [
        f"{short_path(item.file, directory)}:{item.line} {item.variable}: .{item.member}"
        for item in each.accesses
        if item.variable
    ]
    yield from _first(used, verbose, "uses")
    others = [
        f"{short_path(item.file, directory)}:{item.line} .{item.member}" for item in each.accesses if not item.variable
    ]
    if verbose:
        yield from _first(others, verbose, "maybe, of an expression whose type is not known")
    elif others:
        yield f"      maybe used at {len(others)} more places, in expressions whose types are not known (-v lists them)"


def _first(words: Sequence[str], verbose: bool, what: str) -> Iterator[str]:
    if words:
        shown = words if verbose else words[:_PLACES]
        more = f" and {len(words) - len(shown)} more" if len(shown) < len(words) else ""
        yield f"      {what}: {', '.join(shown)}{more}"

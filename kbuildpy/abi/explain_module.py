# SPDX-License-Identifier: GPL-2.0-only
"""What a module would meet in another kernel: its imports, the types behind them, and its own view of these types.

Three questions are kept apart: what the loader compares (symbols and their CRCs), what changed between the types of the
two kernels, and whether the module was compiled with other types than the new kernel has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.abi.changed_types import ChangedTypes, Pair, Way
from kbuildpy.abi.compare_types import Difference
from kbuildpy.abi.exports import ExportChange, exports_of
from kbuildpy.abi.kernel_types import KernelTypes
from kbuildpy.abi.module_view import Access, Described, ModuleView, Name, TypeMention
from kbuildpy.debug.subjects import Subject
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import STB_WEAK
from kbuildpy.loader.import_rights import ImportRights, import_rights
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.stages.versions import decode_versions


class Side(NamedTuple):
    """One of the two kernels."""

    kernel: LoaderKernel
    types: KernelTypes | None
    no_types: str
    """Why `types` is None."""


@dataclass(frozen=True)
class Why:
    """Why a symbol has another CRC."""

    way: Way | None
    """The shortest way to a change; None where types show none, or are not known."""
    others: int = 0
    """How many other changed types the symbol leads to."""
    note: str = ""
    """What is known where there is no way."""


@dataclass(frozen=True)
class ImportReport:
    """One symbol that the module imports."""

    symbol: str
    crc: int | None
    """The CRC that the module was built for; None if it has none."""
    change: ExportChange
    is_weak: bool
    problems: tuple[str, ...]
    """`gone`, `gpl-only`, `namespace`, `crc`: why the new kernel refuses the module, or modpost the next build;
    `foreign`: neither kernel exports it, so another module has to."""
    why: Why | None
    """Of a symbol with another CRC."""
    by_header: bool = False
    """Of a symbol that is gone: no source of the module that is known here names it. Mostly a macro or an inline
    function of the old kernel's headers used it then, and the new kernel's may do without."""


@dataclass(frozen=True)
class TypeReport:
    """A type that the module describes otherwise than the new kernel has it."""

    title: str
    differences: tuple[Difference, ...]
    """From the module's view to the new kernel's."""
    symbols: tuple[str, ...]
    """The imports that lead to it."""
    mentions: tuple[TypeMention, ...]
    accesses: tuple[Access, ...]


@dataclass(frozen=True)
class OwnView:
    """The module's own view of types compared with the new kernel's."""

    state: str
    """`differs`, `same`, or `unknown`."""
    note: str
    """Why it is unknown; what was not compared."""
    compared: int = 0
    """The number of types that were compared."""
    absent: tuple[str, ...] = ()
    """Types of the kernel's headers that the new kernel's type information does not have."""
    types: tuple[TypeReport, ...] = ()
    directory: str = ""
    """The directory of the module's sources, for short paths."""


@dataclass(frozen=True)
class ModuleReport:
    """What is known of one module."""

    file: str
    built_for: str
    imports: tuple[ImportReport, ...]
    view: OwnView
    notes: tuple[str, ...] = field(default=())

    @property
    def must_be_changed(self) -> tuple[ImportReport, ...]:
        """The imports for which it cannot be rebuilt from the same sources."""
        return tuple(each for each in self.imports if {"gone", "gpl-only", "namespace"} & {*each.problems})

    @property
    def other_crcs(self) -> tuple[ImportReport, ...]:
        """The imports for which it must be rebuilt."""
        return tuple(each for each in self.imports if "crc" in each.problems)


def explain_module(subject: Subject, old: Side, new: Side) -> ModuleReport:
    """Explain what `subject`, which is expected to be built for `old`, meets in `new`.

    Raises `KbuildError` for a file that is no module, damaged debug information, and kernels whose exports are unknown.
    """
    changed = ChangedTypes(old.types, new.types) if old.types and new.types else None
    view = ModuleView(subject.debug) if subject.debug else None
    imports, roots = _imports(subject, old, new, changed, view)
    own = _own_view(view, old, new, changed, roots)
    return ModuleReport(str(subject.file), subject.release, tuple(imports), own, tuple(_notes(subject, old, imports)))


def explain_crc(change: ExportChange, old: Side, new: Side, changed: ChangedTypes | None) -> tuple[Why, Pair | None]:
    """Why `change` has another CRC, and the pair of types of the symbol, if it is known."""
    if changed is None:
        return Why(None, note=old.no_types or new.no_types), None
    root = root_of(change, old, new, changed)
    if root is None:
        return Why(None, note="its type is not in the type information: it is a variable, or in assembly"), None
    return _why(changed, root), root


def root_of(change: ExportChange, old: Side, new: Side, changed: ChangedTypes) -> Pair | None:
    """The pair of types of a symbol that both kernels export; None where BTF does not say which they are."""
    if old.types is None or new.types is None or change.old is None or change.new is None:
        return None
    before = old.types.of_symbol(change.symbol, change.old.owner)
    after = new.types.of_symbol(change.symbol, change.new.owner)
    return changed.add(before[0], after[0]) if len(before) == 1 == len(after) else None


def _why(changed: ChangedTypes, root: Pair) -> Why:
    way = changed.shortest(root, hard=True)
    if way is not None:
        return Why(way)
    way = changed.shortest(root, hard=False)
    if way is not None:
        return Why(way, note="the types themselves are the same")
    return Why(
        None,
        note="all types that its signature leads to are the same: probably other headers are included where it is "
        "exported, so that genksyms saw other declarations",
    )


def _imports(
    subject: Subject, old: Side, new: Side, changed: ChangedTypes | None, view: ModuleView | None
) -> tuple[list[ImportReport], dict[str, Pair]]:
    """A report of each import, and the types of those with another CRC."""
    image = subject.image
    versions = module_crcs(image)
    before, after = exports_of(old.kernel), exports_of(new.kernel)
    rights = import_rights(image, subject.module)
    found, roots = [], {}
    names = {symbol.name: symbol.bind == STB_WEAK for symbol in image.undefined if symbol.name}
    for symbol in sorted({*names, *({"module_layout"} & versions.keys())}):
        change = ExportChange(symbol, before.find(symbol), after.find(symbol))
        if symbol not in names and change.new is None:
            continue  # (a kernel without CRCs has no module_layout, and no module's code needs it)
        # (the types that a module shares with another are in the other's type information)
        for types, export in ((old.types, change.old), (new.types, change.new)):
            if types is not None and export is not None:
                types.add_module(export.owner)
        crc = versions.get(symbol)
        problems = _problems(change, crc, rights, is_weak=names.get(symbol, False))
        why = None
        if "crc" in problems and change.old is not None and not change.crc:
            why = Why(None, note="both kernels have the same CRC: the module was built for another kernel than these")
        elif "crc" in problems:
            why, root = explain_crc(change, old, new, changed)
            if root is None and changed is not None and view is not None:
                why, root = _by_declaration(symbol, view, old, new, changed, why)
            if root is not None and changed is not None:
                roots[symbol] = root
                others = sum(1 for _ in changed.reached(root)) - 1
                why = Why(why.way, max(others, 0), why.note)
        by_header = "gone" in problems and view is not None and view.names_symbol(symbol) is False
        found.append(ImportReport(symbol, crc, change, names.get(symbol, False), problems, why, by_header))
    return found, roots


def _by_declaration(
    symbol: str, view: ModuleView, old: Side, new: Side, changed: ChangedTypes, why: Why
) -> tuple[Why, Pair | None]:
    """The same for a variable of which the module's debug information tells the type."""
    assert old.types and new.types
    name = view.named_type(view.imports[symbol]) if symbol in view.imports else None
    if name is None:
        return why, None
    before, after = old.types.named(*name), new.types.named(*name)
    if len(before) != 1 or len(after) != 1:
        return why, None
    root = changed.add(before[0], after[0], title=" ".join(name))
    return _why(changed, root), root


def _problems(change: ExportChange, crc: int | None, rights: ImportRights, *, is_weak: bool) -> tuple[str, ...]:
    export = change.new
    if export is None:
        return () if is_weak else ("gone",) if change.old else ("foreign",)
    return (*rights.against(export), *(("crc",) if _other_crc(crc, export, change.old) else ()))


def _other_crc(crc: int | None, new: KernelExport, old: KernelExport | None) -> bool:
    """Whether the new kernel has another CRC than the module, or, of a module without CRCs, than the old kernel."""
    if crc is None and old is not None:
        crc = old.crc
    return crc is not None and new.crc is not None and crc != new.crc


def module_crcs(image: ModuleImage) -> dict[str, int]:
    """The CRCs that a module was built for, by symbol."""
    section = image.section("__versions")
    found = decode_versions(image.section_data(section)) if section else {}
    crcs, names = image.section("__version_ext_crcs"), image.section("__version_ext_names")
    if crcs and names:
        numbers = image.section_data(crcs)
        texts = image.section_data(names).split(b"\0")
        for index, text in enumerate(texts[: len(numbers) // 4]):
            number = int.from_bytes(numbers[4 * index : 4 * index + 4], "little")
            found.setdefault(text.decode("utf-8", "surrogateescape"), number)
    return found


def _notes(subject: Subject, old: Side, imports: list[ImportReport]) -> list[str]:
    notes = []
    other = [each.symbol for each in imports if each.change.old and _other_crc(each.crc, each.change.old, None)]
    if other:
        notes.append(
            f"it was not built for {old.kernel.release}, which has other CRCs of {len(other)} of its imports: what "
            "changed between the two kernels is not all that changed for it"
        )
    return notes


def _own_view(
    view: ModuleView | None, old: Side, new: Side, changed: ChangedTypes | None, roots: dict[str, Pair]
) -> OwnView:
    if view is None:
        return OwnView(
            "unknown",
            "the module has no debug information (DWARF), so what it was compiled with is not known",
        )
    if new.types is None:
        return OwnView("unknown", new.no_types)
    compared, absent, differing = 0, [], {}
    for name, places in view.described.items():
        theirs = new.types.named(*name)
        if not theirs:
            if any(not view.is_own(place.file) for place in places):
                absent.append(" ".join(name))
            continue
        compared += 1
        differences = _differing(view, places, name, theirs, old, new)
        if differences:
            differing[name] = differences
    mentions = view.mentions(differing.keys())
    leading = _leading(changed, roots)
    types = [
        TypeReport(
            " ".join(name),
            tuple(differences),
            tuple(sorted(leading.get(" ".join(name), ()))),
            tuple(mentions.get(name, ())),
            tuple(
                view.accesses(name, {member for each in differences for member in each.members}, mentions.get(name, ()))
            ),
        )
        for name, differences in differing.items()
    ]
    # (first what imports lead to and the module's own files mention)
    types.sort(
        key=lambda item: (not item.symbols, not any(view.is_own(each.file) for each in item.mentions), item.title)
    )
    return OwnView(
        "differs" if types else "same", _NOT_DESCRIBED, compared, tuple(sorted(absent)), tuple(types), view.directory
    )


_NOT_DESCRIBED = (
    "debug information does not describe types that stand in sizeof or offsetof only, nor macros and the code of "
    "inline functions: these are not compared"
)


def _differing(
    view: ModuleView, places: list[Described], name: Name, theirs: list[int], old: Side, new: Side
) -> list[Difference]:
    """The differences of a described type from the new kernel's; [] if each unit has it as the new kernel does."""
    assert new.types is not None
    for place in places:
        found = [view.differences(place.offset, new.types, number) for number in theirs]
        if all(found):
            nearest = min(found, key=len)
            if view.is_own(place.file) and not _is_as_in(view, place, name, old):
                # A type of the module's own that only has the name of one of the kernel's.
                continue
            return nearest
    return []


def _is_as_in(view: ModuleView, place: Described, name: Name, old: Side) -> bool:
    """Whether the old kernel has the type as the module describes it: then it is a copy of the kernel's. Where the old
    kernel's types are not known, it may be."""
    if old.types is None:
        return True
    return any(not view.differences(place.offset, old.types, number) for number in old.types.named(*name))


def _leading(changed: ChangedTypes | None, roots: dict[str, Pair]) -> dict[str, list[str]]:
    """The imports that lead to each changed type, by its title."""
    found: dict[str, list[str]] = {}
    if changed is not None:
        for symbol, root in roots.items():
            for pair, _ in changed.reached(root):
                found.setdefault(changed.title(pair), []).append(symbol)
    return found

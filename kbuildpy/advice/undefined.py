# SPDX-License-Identifier: GPL-2.0-only
"""What is known about a symbol that modpost finds no export of, or that the module may not use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kbuildpy.advice.advice import MOST_SUBJECTS, Advice, place_text
from kbuildpy.advice.conditions import conditions_at, holds, only_where, symbols_in
from kbuildpy.advice.header_search import Declaration, find_declarations, is_searched, search_deadline
from kbuildpy.advice.kbuild_symbols import switched_off
from kbuildpy.advice.near_names import NearNames, near_names
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.advice.source_text import read_source
from kbuildpy.advice.uses import ModuleSources
from kbuildpy.elf.constants import STB_LOCAL, STT_FUNC, STT_OBJECT
from kbuildpy.kernel.exported_symbol import SymbolExport
from kbuildpy.kernel.symvers import Symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.diagnostics import DiagnosticTopic
from kbuildpy.source_place import Place

_SHOWN_PLACES = 3
_TRIM, _KEPT = "CONFIG_TRIM_UNUSED_KSYMS", "CONFIG_UNUSED_KSYMS_WHITELIST"
_UNDEFINED = "undefined"
KINDS = frozenset({_UNDEFINED, "namespace", "gpl-only", "gpl-only-unused"})
"""The kinds of modpost's messages that are explained here."""


@dataclass(frozen=True)
class ModpostModule:
    """A module that goes through modpost."""

    file: str
    """Its `.ko`, below the module directory."""
    open: Callable[[], ModuleSources] = field(repr=False)
    """Reads its object."""

    @cached_property
    def opened(self) -> ModuleSources:
        """The object with its sources."""
        return self.open()


@dataclass(frozen=True)
class ModpostScene:
    """A run of modpost that found something."""

    tree: KernelTree
    modules: Mapping[str, ModpostModule]
    """By their nominal names."""
    symvers: Sequence[tuple[str, Symvers]]
    """The symvers files that modpost read, by their names."""
    unread: Sequence[tuple[str, Symvers]]
    """Those of other builds that modpost was not told about."""
    others: OtherKernels
    quotes_namespaces: bool
    """MODULE_IMPORT_NS() takes a string."""
    deadline: float = field(default_factory=search_deadline)
    """Until when headers are read."""

    @cached_property
    def exported(self) -> NearNames:
        """All symbols that modpost knows an export of."""
        return near_names(symbol for _, symvers in self.symvers for symbol in symvers.columns.symbols)

    def find(self, symbol: str) -> tuple[str, str, str, str] | None:
        """What the symvers files say of `symbol`: CRC, owner, license and namespace."""
        return next(filter(None, (symvers.find(symbol) for _, symvers in reversed(self.symvers))), None)


def symbol_advice(scene: ModpostScene, topics: Iterable[DiagnosticTopic]) -> tuple[list[Advice], int]:
    """What is known about the symbols of `topics`, each once, and how many symbols are left out."""
    wanted = [topic for topic in topics if topic.kind in KINDS and topic.module in scene.modules]
    by_symbol: dict[str, list[DiagnosticTopic]] = {}
    for topic in wanted:
        by_symbol.setdefault(topic.symbol, []).append(topic)
    shown = list(by_symbol)[:MOST_SUBJECTS]
    undefined = [name for name in shown if by_symbol[name][0].kind == _UNDEFINED]
    declared = find_declarations(scene.tree, undefined, deadline=scene.deadline)
    found = [
        _undefined(scene, name, by_symbol[name], declared[name])
        if name in declared
        else _not_allowed(scene, name, by_symbol[name])
        for name in shown
    ]
    return found, len(by_symbol) - len(shown)


def _undefined(
    scene: ModpostScene, name: str, topics: Sequence[DiagnosticTopic], declared: Sequence[Declaration]
) -> Advice:
    places, used = _used_at(scene, name, topics)
    lines = []
    own = _defined_here(scene, name)
    if own:
        lines.append(own)
    for file, symvers in scene.unread:
        if symvers.find(name):
            lines.append(f"exported in {file}: KBUILD_EXTRA_SYMBOLS={file} makes it known")
            own = file
    kernels = scene.others.exporting(name)
    configs: list[str] = []
    for item in declared:
        condition = item.excluded_by(scene.tree.config)
        symbols = symbols_in(condition) if condition else []
        if condition and symbols:
            lines.append(f"{item.place} declares it {only_where(condition, scene.tree.config)}")
            configs += [symbol for symbol in symbols if symbol not in configs]
    inline = [item for item in declared if item.kind in ("inline", "macro") and not item.excluded_by(scene.tree.config)]
    if inline:
        said = "an inline function" if inline[0].kind == "inline" else "a macro"
        lines.append(f"it is {said} here, #include <{inline[0].included_as}>: {inline[0].place}")
    for off in switched_off(scene.tree, name, [export.owner for export in kernels]):
        lines.append(off.text)
        configs += [symbol for symbol in off.symbols if symbol not in configs]
    if kernels:
        lines.append(_kernels_text(kernels, scene.tree, declared))
    if scene.tree.config.get(_TRIM) == "y" and not own and not inline:
        lines.append(_trimmed_text(scene.tree))
        configs += [symbol for symbol in (_TRIM, _KEPT) if symbol not in configs]
    similar: tuple[str, ...] = ()
    if not own and not inline:
        similar = scene.exported.nearest(name)
        lines += [f"did you mean {other}? {_export_text(scene, other)}" for other in similar]
    releases = tuple(export.release for export in kernels)
    if not lines and not declared and is_searched(scene.tree, name):
        lines.append("no module, no header here and no other kernel here has it")
    told = (*used, *lines)
    return Advice("undefined", name, _files(scene, topics), told, places, similar, releases, tuple(configs))


def _used_at(scene: ModpostScene, name: str, topics: Sequence[DiagnosticTopic]) -> tuple[tuple[Place, ...], list[str]]:
    """The places that use a symbol, and the sentence that tells the first of them."""
    places: list[Place] = []
    for topic in topics:
        module = scene.modules[topic.module].opened
        references = module.references([name])[name]
        places += [place for place in module.places(name, references) if place not in places]
    texts = [place_text(place) for place in places[:_SHOWN_PLACES]]
    more = len(places) - len(texts)
    if not texts:
        return (), []
    return tuple(places), [f"used at {', '.join(texts)}{f' and {more} more' if more else ''}"]


def _defined_here(scene: ModpostScene, name: str) -> str:
    """Why the modules that are built do not give a symbol that one of them defines; "" if none does."""
    for module in scene.modules.values():
        opened = module.opened
        table = opened.image.symbols
        encoded = name.encode("utf-8", "surrogateescape")
        offsets = {at for at in table.starting_with(encoded) if table.text(at) == name}
        for number, (st_name, info, _, shndx, value, _) in enumerate(table.rows):
            if st_name in offsets and shndx and info & 15 in (STT_FUNC, STT_OBJECT):
                section = table.section_index(number)
                found = None
                if section < len(opened.image.sections):
                    found = opened.definition(opened.image.sections[section], value, name)
                where = f" at {place_text(found._replace(function=''))}" if found and found.file else ""
                if info >> 4 == STB_LOCAL:
                    return f"static in {module.file}{where}: other objects do not see it; remove `static`"
                return f"defined in {module.file}{where}, but not exported: add EXPORT_SYMBOL_GPL({name})"
        for path in opened.sources:
            line = _static_line(path, name, scene.tree.config)
            if line:
                where = f"{opened.shown(path)}:{line}"
                return f"static in {module.file} at {where}: other objects do not see it; remove `static`"
    return ""


def _static_line(path: str, name: str, config: Mapping[str, str]) -> int:
    """The line in which a source defines `name` as static, where it is sure to be compiled; 0 for none. (One that is
    not used, or is inlined everywhere, has no symbol.)"""
    source = read_source(path)
    for each in source.definitions if source else ():
        if source and each.name == name and each.is_static:
            line = source.line(each.start)
            text = Path(path).read_bytes().decode("latin-1")
            if all(holds(condition.text, config) for condition in conditions_at(text, line)):
                return line
    return 0


def _trimmed_text(tree: KernelTree) -> str:
    kept = tree.config.get(_KEPT, "")
    return (
        f"this kernel was built with {_TRIM}, without the exports that its own modules do not use: it keeps those that "
        f"the file of {_KEPT} ({kept or 'none'}) names when it is built"
    )


def _kernels_text(kernels: Sequence[SymbolExport], tree: KernelTree, declared: Sequence[Declaration]) -> str:
    texts = []
    for export in kernels:
        licence = "GPL-compatible modules only" if export.gpl_only else "every licence"
        namespace = f", namespace {export.namespace}" if export.namespace else ""
        texts.append(f"{export.release} ({export.owner}, for {licence}{namespace})")
    here = next((item for item in declared if item.kind == "function"), None)
    still = f"; {here.place} still declares it" if here is not None else ""
    return f"exported by {', '.join(texts)}, not by {tree.release}{still}"


def _export_text(scene: ModpostScene, name: str) -> str:
    found = scene.find(name)
    if found is None:
        return ""
    _, owner, license, namespace = found
    return f"({owner}, {license}{f', namespace {namespace}' if namespace else ''})"


def _not_allowed(scene: ModpostScene, name: str, topics: Sequence[DiagnosticTopic]) -> Advice:
    """A symbol that is exported, but not to a module like this one."""
    places, lines = _used_at(scene, name, topics)
    first = topics[0]
    if first.kind == "namespace":
        text = f'"{first.namespace}"' if scene.quotes_namespaces else first.namespace
        lines.append(f"exported in namespace {first.namespace}: add MODULE_IMPORT_NS({text}); to the module")
    else:
        module = scene.modules[first.module].opened
        licenses = module.image.modinfo_values("license")
        said = ", ".join(f'MODULE_LICENSE("{license}")' for license in licenses) or "it has no MODULE_LICENSE()"
        lines.append(f"exported by EXPORT_SYMBOL_GPL, to modules whose licence is compatible with the GPL: {said}")
    return Advice(first.kind, name, _files(scene, topics), tuple(lines), places)


def _files(scene: ModpostScene, topics: Sequence[DiagnosticTopic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scene.modules[topic.module].file for topic in topics))

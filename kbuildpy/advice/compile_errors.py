# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel tree, and others that are installed, tell about names that a source expects of its headers.

Each fact comes from a header, with its line: the name is declared elsewhere, or under a condition that the
configuration does not meet; in another kernel it is a wrapper of a function that is here; a name here is spelled like
it. What no header tells is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from kbuildpy.advice.advice import MOST_SUBJECTS, Advice
from kbuildpy.advice.compiler_messages import MissingName
from kbuildpy.advice.conditions import only_where, symbols_in
from kbuildpy.advice.header_search import PATIENCE, Declaration, find_declarations, is_searched, search_deadline
from kbuildpy.advice.missing_headers import missing_header
from kbuildpy.advice.near_names import NearNames, near_names
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.advice.struct_members import member_facts
from kbuildpy.advice.twins import twins_of, wrapped_call
from kbuildpy.advice.visible import VisibleText
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.source_place import Place

_KINDS = {"function": ("function", "inline", "macro"), "arguments": ("function", "inline", "macro")}
_MOST_NEAR = 2
_LONGEST = 200
"""Characters of a declaration that are shown."""


@dataclass(frozen=True)
class CompileScene:
    """A compilation that failed."""

    tree: KernelTree
    object_name: str
    """The object that was not made, below the module directory."""
    preprocess: Callable[[], str] = field(repr=False)
    """Gives the source after the preprocessor, "" where that fails."""
    others: OtherKernels
    directory: Path
    """The module directory."""
    deadline: float = field(default_factory=search_deadline)
    """Until when headers are read."""
    _near: dict[MissingName, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def exported(self) -> NearNames:
        """The symbols that the kernel exports, whether a header that the source includes declares them or not."""
        try:
            # (of functions with the suffix, the plain name is a macro: include/linux/alloc_tag.h)
            names = read_symvers(self.tree.symvers).columns.symbols
            return near_names(name.removesuffix("_noprof") for name in names)
        except KbuildError:
            return NearNames(())

    @cached_property
    def visible(self) -> VisibleText:
        """What the source sees."""
        return VisibleText(self.preprocess())

    def candidates(self, each: MissingName) -> tuple[str, ...]:
        """The names that are spelled like a missing one, among those that the source sees and those that are
        exported."""
        if each not in self._near and each.kind in ("function", "name", "type"):
            near = self.names_for(each.kind).nearest(each.name, most=4)
            if each.kind == "function":
                near = NearNames((*near, *self.exported.nearest(each.name))).nearest(each.name, most=4)
            self._near[each] = near
        return self._near.get(each, ())

    def names_for(self, kind: str) -> NearNames:
        """The names that the source sees, of a kind of missing names."""
        if kind == "function":
            return self._functions
        return self._types if kind == "type" else self._constants

    @cached_property
    def _functions(self) -> NearNames:
        return NearNames(self.visible.names)

    @cached_property
    def _types(self) -> NearNames:
        return NearNames(self.visible.types)

    @cached_property
    def _constants(self) -> NearNames:
        return near_names((*self.visible.constants, *self.visible.names))


def compile_advice(scene: CompileScene, missing: Sequence[MissingName]) -> tuple[list[Advice], int]:
    """What is known about the first names of `missing`, nothing where nothing is known; and how many names are left
    out."""
    shown = [_with_type(each, scene) for each in missing[:MOST_SUBJECTS]]
    named = [each.name for each in shown if each.kind in ("function", "name", "type", "arguments")]
    tags = {each: _tag(each, scene) for each in shown if each.kind in ("member", "callback")}
    # (the headers of a tree are read once for all names)
    here = find_declarations(scene.tree, [*named, *filter(None, tags.values())], deadline=scene.deadline)
    unknown = [name for name in named if not _usable(here[name], scene.tree) or _shows_change(shown, name)]
    there = _in_others(scene, unknown, [*filter(None, tags.values())])
    candidates = [name for each in shown if each.name in unknown for name in scene.candidates(each)]
    find_declarations(scene.tree, candidates, deadline=scene.deadline)
    found = []
    for each in shown:
        if each.kind in ("member", "callback"):
            advice = _member(each, tags[each], scene) if tags[each] else None
        elif each.kind == "header":
            advice = missing_header(each.name, scene.tree, scene.others, scene.directory)
        elif each.kind == "arguments":
            advice = _signature(each, here[each.name], there, scene)
        else:
            advice = _missing(each, here[each.name], there, scene)
        if advice is not None and advice.lines:
            found.append(_placed(advice, each, scene))
    return found, len(missing) - len(shown)


def _member(each: MissingName, tag: str, scene: CompileScene) -> Advice | None:
    return member_facts(each, tag, scene.visible, scene.tree, scene.others, deadline=scene.deadline)


def _tag(each: MissingName, scene: CompileScene) -> str:
    """The tag of the struct whose member is meant; "" where that is not found."""
    return each.of if each.kind == "member" else scene.visible.type_of_variable(each.of)


def _with_type(each: MissingName, scene: CompileScene) -> MissingName:
    """GCC names the variable where its type is not known."""
    tag = scene.visible.type_of_variable(each.name) if each.kind == "storage" else ""
    return replace(each, kind="type", name=tag) if tag else each


def declared_as(declaration: Declaration) -> str:
    """A declaration with its place."""
    text = declaration.text if len(declaration.text) <= _LONGEST else f"{declaration.text[:_LONGEST]}..."
    return f"{declaration.place}: {text}"


def _shows_change(shown: Iterable[MissingName], name: str) -> bool:
    return any(each.name == name and each.kind == "arguments" for each in shown)


def _usable(declarations: Iterable[Declaration], tree: KernelTree) -> list[Declaration]:
    return [each for each in declarations if each.excluded_by(tree.config) is None]


def _in_others(
    scene: CompileScene, names: Sequence[str], tags: Sequence[str]
) -> list[tuple[KernelTree, dict[str, list[Declaration]]]]:
    """What the other kernels declare, the newest first."""
    if not names and not tags:
        return []
    wanted = [*names, *tags]
    return [(tree, find_declarations(tree, wanted, deadline=scene.deadline)) for tree in reversed(scene.others.trees)]


def _missing(
    each: MissingName,
    declared: Sequence[Declaration],
    there: Sequence[tuple[KernelTree, dict[str, list[Declaration]]]],
    scene: CompileScene,
) -> Advice:
    """A function, a constant or a type that the source does not see."""
    tree, lines = scene.tree, []
    similar: list[str] = []
    configs: list[str] = []
    usable = [item for item in _usable(declared, tree) if _is_kind(item, each)]
    header = next((item for item in usable if item.included_as), None)
    if header is not None:
        if scene.visible.includes(header.file):
            lines.append(f"{header.place} declares it, but the source does not see it: {_condition_text(header)}")
        else:
            lines.append(f"#include <{header.included_as}>: {declared_as(header)}")
        return Advice("compiler", each.name, (), tuple(lines))
    for item in (item for item in declared if _is_kind(item, each)):
        condition = item.excluded_by(tree.config)
        symbols = symbols_in(condition) if condition else []
        if condition and symbols:
            lines.append(f"{item.place} declares it {only_where(condition, tree.config)}")
            configs += [symbol for symbol in symbols if symbol not in configs]
    kernels = []
    latest: Declaration | None = None
    for other, found in there:
        old = next((item for item in _usable(found.get(each.name, []), other) if _is_kind(item, each)), None)
        if old is None:
            continue
        latest = latest or old
        kernels.append(other.release)
        if len(kernels) > 1:
            continue
        lines.append(f"{other.release} has it: {declared_as(old)}")
        similar += _successors(old, scene, lines)
    if not lines or (kernels and not similar):
        similar += _near(each, scene, lines, similar, latest)
    unread = [other.release for other in (tree, *scene.others.trees) if not is_searched(other, each.name)]
    if unread and not kernels:
        lines.append(f"the headers of {', '.join(unread)} were not read to the end in {PATIENCE:g} s: look again")
    return Advice("compiler", each.name, (), tuple(lines), (), tuple(similar), tuple(reversed(kernels)), tuple(configs))


def _is_kind(item: Declaration, each: MissingName) -> bool:
    kinds = _KINDS.get(each.kind)
    if each.kind == "type":
        return item.kind == "type"
    return item.kind in kinds if kinds else item.kind != "type"


def _successors(old: Declaration, scene: CompileScene, lines: list[str]) -> Iterator[str]:
    """Functions that do what `old` does in another kernel: it only calls one of them, or their text is that of `old`
    but for the name."""
    tree = scene.tree
    called = wrapped_call(old)
    wrapped = _usable(find_declarations(tree, [called], deadline=scene.deadline)[called], tree) if called else []
    twin = next(iter(twins_of(old, tree)), None)
    if twin is not None:
        lines.append(f"here {twin.name} is the same: {declared_as(twin)}")
        yield twin.name
    elif wrapped:
        lines.append(f"there it is no more than {old.body.rstrip(';')}; here: {declared_as(wrapped[0])}")
        yield called


def _near(
    each: MissingName, scene: CompileScene, lines: list[str], known: Sequence[str], old: Declaration | None
) -> list[str]:
    """Names here that are spelled like the missing one. `old` is its declaration in another kernel: what takes another
    number of arguments is not meant."""
    visible = scene.visible
    near = scene.candidates(each)
    places = find_declarations(scene.tree, near, deadline=scene.deadline)
    found: list[str] = []
    for name in near:
        item = next((item for item in _usable(places[name], scene.tree) if _is_kind(item, each)), None)
        if name in known or not _takes_as_many(item, old) or len(found) == _MOST_NEAR:
            continue
        if item is None and name not in scene.names_for(each.kind).names:
            continue  # (exported, and no header says how it is called)
        found.append(name)
        unseen = item is not None and item.included_as and not visible.includes(item.file) and item.kind != "name"
        include = f"#include <{item.included_as}>: " if item and unseen else ""
        lines.append(f"did you mean {name}?" + (f" {include}{declared_as(item)}" if item else ""))
    return found


def _takes_as_many(item: Declaration | None, old: Declaration | None) -> bool:
    counts = [_count(each) for each in (item, old) if each is not None]
    return len(counts) < 2 or None in counts or counts[0] == counts[1]


def _count(item: Declaration) -> int | None:
    """How many parameters it has; None for any number, or for none that are written."""
    _, found, rest = item.text.partition(f"{item.name}(")
    if not found or "..." in rest:
        return None
    depth, count = 1, 1
    for character in rest:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            break
        count += character == "," and depth == 1
    return count


def _signature(
    each: MissingName,
    declared: Sequence[Declaration],
    there: Sequence[tuple[KernelTree, dict[str, list[Declaration]]]],
    scene: CompileScene,
) -> Advice:
    """A function that is called with other arguments than it has."""
    callable_ = [item for item in _usable(declared, scene.tree) if item.kind in _KINDS["arguments"]]
    if not callable_:
        return Advice("compiler", each.name, (), ())
    now = next((item for item in callable_ if scene.visible.includes(item.file)), callable_[0])
    lines = [f"here it is {declared_as(now)}"]
    kernels = []
    for other, found in there:
        items = [item for item in _usable(found.get(each.name, []), other) if item.kind in _KINDS["arguments"]]
        if items and _parameters(items[0]) != _parameters(now):
            kernels.append(other.release)
            if len(kernels) == 1:
                lines.append(f"in {other.release} it is {declared_as(items[0])}")
    return Advice("compiler", each.name, (), tuple(lines), (), (), tuple(reversed(kernels)))


def _parameters(item: Declaration) -> str:
    _, _, rest = item.text.partition(f"{item.name}(")
    return re.sub(r"\s+", "", rest.partition(")")[0] if item.kind == "macro" else rest)


def _condition_text(item: Declaration) -> str:
    inner = [each.text for each in item.conditions if not re.match(r"!defined\(_", each.text)]
    return f"it stands below #if {inner[-1]}" if inner else "a macro or an include guard hides it"


def _placed(advice: Advice, each: MissingName, scene: CompileScene) -> Advice:
    place = Place("", each.file, each.line)
    subject = f"struct {advice.subject}" if each.kind in ("member", "callback") else advice.subject
    return Advice(
        advice.kind,
        subject,
        (scene.object_name,),
        advice.lines,
        (place,),
        advice.similar,
        advice.kernels,
        advice.configs,
    )

# SPDX-License-Identifier: GPL-2.0-only
"""The differences between one type in an old graph and one in a new graph, without those of the named types in them.

A named struct inside is an edge to another pair of types; a struct without a name is compared as part of the one that
it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from kbuildpy.abi.type_graph import (
    COMPOSITE,
    ENDLESS,
    NAMED,
    QUALIFIERS,
    Form,
    Type,
    TypeGraph,
    TypePart,
    flat_members,
    flattened,
    grouping,
    spelled,
)

_SHOWN_TYPE = 60
_MOST_STEPS = 1 << 17
_MOST_CALLBACKS = 8
"""Callbacks that take callbacks, and so on."""


class Weight(IntEnum):
    """What a difference means for code that was compiled with the old type, the gravest first."""

    LAYOUT = 0
    """Other offsets, sizes, members or values."""
    TYPE = 1
    """The same bytes, and another type in them: another struct behind a pointer, other parameters of a callback."""
    NAME = 2
    """The same bytes under another name."""
    SPELLING = 3
    """Another typedef or qualifier: the CRC changes, the bytes do not."""
    VISIBILITY = 4
    """Complete in one kernel, only declared in the other."""


HARD = (Weight.LAYOUT, Weight.TYPE, Weight.NAME)
"""Differences in the types themselves; the others are in how they are written or declared."""


@dataclass(frozen=True)
class Difference:
    """One difference."""

    weight: Weight
    words: str
    """What differs: "gained `a` at 16", offsets and sizes in bytes."""
    members: tuple[str, ...] = ()
    """The members that it is about."""

    def within(self, prefix: str) -> Difference:
        """The difference as one of a type that is found by `prefix`."""
        return replace(self, words=prefix + self.words) if prefix else self


@dataclass(frozen=True)
class Edge:
    """Another pair of types that is reached from one."""

    label: str
    """By which member or parameter."""
    old: int
    new: int
    alias: str = ""
    """The typedef by which it is reached, if any."""
    embedded: bool = False
    """Whether it is a part of the one that it is reached from, and not only what a pointer in it leads to."""


@dataclass
class Local:
    """What the comparison of two types found."""

    differences: list[Difference] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    steps: int = 0
    """Types that were looked at."""

    def add(self, weight: Weight, words: str, *members: str) -> None:
        """Add a difference."""
        self.differences.append(Difference(weight, words, members))

    @property
    def hard(self) -> list[Difference]:
        """The differences in the types themselves."""
        return [each for each in self.differences if each.weight in HARD]


@dataclass(frozen=True)
class Comparer:
    """Compares types of two graphs."""

    old: TypeGraph
    new: TypeGraph

    def compare(self, old: int, new: int) -> Local:
        """Compare two types that are neither typedefs nor qualifiers."""
        found = Local()
        a, b = self.old.at(old), self.new.at(new)
        if Form.FORWARD in (a.form, b.form) or a.form is not b.form:
            self._match(found, "", old, new)
        elif a.form in COMPOSITE:
            self._members(found, old, new)
        elif a.form is Form.ENUM:
            self._values(found, a, b)
        elif a.form is Form.FUNCTION:
            self._function(found, a, b, "")
        else:
            self._match(found, "", old, new)
        return found

    def _members(self, found: Local, old: int, new: int) -> None:
        a, b = self.old.at(old), self.new.at(new)
        if a.size != b.size:
            found.add(Weight.LAYOUT, f"size {a.size} -> {b.size}")
        before = _by_name(flat_members(self.old, old))
        after = _by_name(flat_members(self.new, new))
        if ENDLESS in before or ENDLESS in after:
            found.add(Weight.TYPE, "too many members to compare")
        lost = {name: part for name, part in before.items() if name not in after}
        gained = {name: part for name, part in after.items() if name not in before}
        for name, other in self._renamed(lost, gained):
            found.add(Weight.NAME, f"`{name}` is called `{other}`", name, other)
            del lost[name], gained[other]
        for name, part in gained.items():
            found.add(Weight.LAYOUT, f"gained `{name}` at {_place(part)}", name)
        for name, part in lost.items():
            found.add(Weight.LAYOUT, f"lost `{name}`, which was at {_place(part)}", name)
        moved: list[tuple[str, TypePart, TypePart]] = []
        for name, part in before.items():
            other_part = after.get(name)
            if other_part is None:
                continue
            if part.offset != other_part.offset:
                moved.append((name, part, other_part))
            if part.width != other_part.width:
                found.add(Weight.LAYOUT, f"`{name}` has {_width(part)}, now {_width(other_part)}", name)
            self._match(found, name, part.type, other_part.type)
        _tell_moved(found, moved)
        if not found.hard and grouping(self.old, old) != grouping(self.new, new):
            found.add(Weight.SPELLING, "members stand in other structs or unions without a name, or in another order")

    def _renamed(self, lost: dict[str, TypePart], gained: dict[str, TypePart]) -> list[tuple[str, str]]:
        """Members that are at the same place with the same type under another name."""
        pairs = []
        places = {(part.offset, part.width): name for name, part in gained.items()}
        for name, part in lost.items():
            other = places.pop((part.offset, part.width), None)
            if other is not None:
                probe = Local()
                self._match(probe, "", part.type, gained[other].type)
                if not probe.hard:
                    pairs.append((name, other))
        return pairs

    def _values(self, found: Local, a: Type, b: Type) -> None:
        if a.size != b.size:
            found.add(Weight.LAYOUT, f"size {a.size} -> {b.size}")
        mask = (1 << 8 * min(a.size or 4, b.size or 4)) - 1
        before, after = ({part.name: part.type & mask for part in each.parts} for each in (a, b))
        for name, value in after.items():
            if name not in before:
                found.add(Weight.LAYOUT, f"gained the value {name} = {value}", name)
        for name, value in before.items():
            if name not in after:
                found.add(Weight.LAYOUT, f"lost the value {name} = {value}", name)
            elif after[name] != value:
                found.add(Weight.LAYOUT, f"{name} was {value}, is {after[name]}", name)

    def _function(self, found: Local, a: Type, b: Type, label: str) -> None:
        """The return value and the parameters; their names do not matter."""
        of = f"`{label}`: " if label else ""
        if len(a.parts) != len(b.parts) or a.length != b.length:
            counts = [f"{len(each.parts)}{' and more' if each.length else ''}" for each in (a, b)]
            found.add(Weight.TYPE, f"{of}takes {counts[1]} parameters, took {counts[0]}", label)
        self._match(found, f"{label}()" if label else "return value", a.target, b.target)
        for number, (part, other) in enumerate(zip(a.parts, b.parts, strict=False), 1):
            word = f"{label}({number})" if label else f"parameter {number}{f' ({part.name})' if part.name else ''}"
            self._match(found, word, part.type, other.type)

    def _match(self, found: Local, label: str, old: int, new: int) -> None:
        """Compare the types of a member or parameter called `label`, through pointers and arrays."""
        outer_old, outer_new, embedded = old, new, bool(label)
        found.steps += 1
        # (types of functions that lead to themselves, which C cannot declare, and debug information can)
        if found.steps > _MOST_STEPS or label.count("(") > _MOST_CALLBACKS:
            found.add(Weight.TYPE, f"`{label[:_SHOWN_TYPE]}`: nested too deeply to compare", label)
            return
        for _ in range(64):
            old, old_names = self.old.real(old)
            new, new_names = self.new.real(new)
            a, b = self.old.at(old), self.new.at(new)
            if old_names != new_names and a.form is b.form and a.name == b.name:
                words = self._was_is(label, outer_old, outer_new)
                if words:
                    found.add(Weight.SPELLING, words, label)
            if Form.ALIAS in (a.form, b.form):
                found.add(Weight.TYPE, f"`{label}`: its typedefs lead nowhere", label)
                return
            if a.form is not b.form:
                self._other_form(found, label, a, b, outer_old, outer_new)
                return
            if a.form is Form.ARRAY:
                a, b = flattened(self.old, a), flattened(self.new, b)
            if a.form is Form.ARRAY and a.length != b.length:
                found.add(Weight.LAYOUT, self._was_is(label, outer_old, outer_new) or f"`{label}` changed", label)
                return
            if a.form not in (Form.POINTER, Form.ARRAY):
                break
            embedded &= a.form is not Form.POINTER
            old, new = a.target, b.target
        else:
            found.add(Weight.TYPE, f"`{label}`: nested too deeply to compare", label)
            return
        if a.form is Form.FUNCTION:
            self._function(found, a, b, label or "callback")
        elif a.form is Form.NUMBER:
            if a.size != b.size:
                found.add(Weight.LAYOUT, self._was_is(label, outer_old, outer_new) or f"`{label}` changed", label)
            elif _plain(a.name) != _plain(b.name):
                found.add(Weight.TYPE, self._was_is(label, outer_old, outer_new) or f"`{label}` changed", label)
        elif a.form in NAMED:
            if (a.name, a.keyword) != (b.name, b.keyword):
                words = self._was_is(label, outer_old, outer_new) or f"`{label}` changed"
                found.add(Weight.TYPE, words, label)
            elif a.form is not Form.FORWARD:
                alias = next((name for name in reversed(old_names) if name not in QUALIFIERS), "")
                found.edges.append(Edge(label, old, new, alias, embedded))

    def _other_form(self, found: Local, label: str, a: Type, b: Type, old: int, new: int) -> None:
        if Form.FORWARD in (a.form, b.form) and (a.name, a.keyword) == (b.name, b.keyword):
            complete = "old" if b.form is Form.FORWARD else "new"
            words = f"{a.keyword} {a.name} is complete in the {complete} kernel, and only declared in the other"
            found.add(Weight.VISIBILITY, words, label)
            return
        words = self._was_is(label, old, new) or f"`{label}` changed"
        found.add(Weight.LAYOUT if self._size(a) != self._size(b) else Weight.TYPE, words, label)

    @staticmethod
    def _size(type: Type) -> int:
        return type.size if type.form is not Form.ARRAY else -1

    def _was_is(self, label: str, old: int, new: int) -> str:
        """What a declaration was and is; "" where it is spelled the same."""
        was, now = spelled(self.old, old), spelled(self.new, new)
        if was == now:
            return ""
        return f"`{label}` was `{_shortened(was)}`, is `{_shortened(now)}`"


def _tell_moved(found: Local, moved: Sequence[tuple[str, TypePart, TypePart]]) -> None:
    """One difference for all members that moved by the same distance."""
    distances: dict[int, list[tuple[str, TypePart, TypePart]]] = {}
    for each in moved:
        distances.setdefault(each[2].offset - each[1].offset, []).append(each)
    for distance, members in distances.items():
        names = tuple(name for name, _, _ in members)
        name, old, new = members[0]
        if len(members) == 1:
            found.add(Weight.LAYOUT, f"`{name}` moved from {_place(old)} to {_place(new)}", name)
        else:
            by = f"{distance // 8:+}" if distance % 8 == 0 else f"{distance:+} bits"
            places = f"the first from {_place(old)} to {_place(new)}"
            words = f"{len(members)} members from `{name}` on moved by {by}, {places}"
            found.add(Weight.LAYOUT, words, *names)


def _by_name(parts: Iterator[TypePart]) -> dict[str, TypePart]:
    """Members by name; those without one (an array of structs without a name) by their number."""
    found: dict[str, TypePart] = {}
    for number, part in enumerate(parts):
        name = part.name if part.name and not part.name.endswith(".") else f"{part.name}(unnamed {number})"
        found[name] = part
    return found


def _place(part: TypePart) -> str:
    byte, bit = divmod(part.offset, 8)
    return f"{byte}" if not part.width else f"{byte}, bit {bit}"


def _width(part: TypePart) -> str:
    return f"{part.width} bits" if part.width else "no bit-field"


def _plain(name: str) -> tuple[str, ...]:
    """The words of an integer's name without those that change nothing: compilers differ in them."""
    return tuple(sorted(word for word in name.split() if word != "int" and (word != "signed" or "char" in name)))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_TYPE else f"{text[: _SHOWN_TYPE - 3]}..."

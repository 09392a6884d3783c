# SPDX-License-Identifier: GPL-2.0-only
"""Types in one form, whether they come from BTF or from DWARF.

A type is a number in its graph, and its parts name others by their numbers, so cycles need no care here. What C spells
with a name and what it does not is kept apart: a struct without a name is part of the struct that it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol


class Form(IntEnum):
    """What a type is."""

    VOID = 0
    NUMBER = 1
    """An integer, a character, a boolean or a floating-point number."""
    POINTER = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FORWARD = 7
    """A struct, union or enum of which only the name is known."""
    FUNCTION = 8
    ALIAS = 9
    """A typedef or a qualifier, which changes nothing in memory."""


COMPOSITE = (Form.STRUCT, Form.UNION)
NAMED = (Form.STRUCT, Form.UNION, Form.ENUM, Form.FORWARD)

_MOST = 1 << 16
"""Members of one struct, with those in it: ten times what the largest one has."""
ENDLESS = "..."
"""Stands for more members than are looked at."""
_SPELLED = 16
"""Parameters of a function that are spelled."""
_DEPTH = 12
"""How deep nested structs without names, and declarations, are followed."""


class TypePart(NamedTuple):
    """A member of a struct or union, a value of an enum, or a parameter of a function."""

    name: str
    type: int
    """The number of its type; of a value of an enum, the value."""
    offset: int = 0
    """Bits from the beginning of the struct."""
    width: int = 0
    """Bits of a bit-field; 0 for a member that is none."""


class Type(NamedTuple):
    """One type."""

    form: Form
    name: str = ""
    """Without `struct`; of a qualifier, `const` and the like."""
    size: int = 0
    """In bytes."""
    target: int = 0
    """What a pointer, array, typedef or qualifier is of, what a function returns."""
    parts: tuple[TypePart, ...] = ()
    length: int = 0
    """The elements of an array; 1 for a function with variable arguments."""
    keyword: str = ""
    """`struct`, `union` or `enum`; "typedef" for one."""


VOID = Type(Form.VOID, "void")


class TypeGraph(Protocol):
    """The types of a kernel, or of a compiled source file."""

    def at(self, number: int) -> Type:
        """Type `number`; 0 is void."""

    def real(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The type behind typedefs and qualifiers, and their names, from the outermost on."""


def follow(graph: TypeGraph, number: int) -> tuple[int, tuple[str, ...]]:
    """What `TypeGraph.real` returns."""
    names = []
    for _ in range(64):
        found = graph.at(number)
        if found.form is not Form.ALIAS:
            break
        names.append(found.name)
        number = found.target
    return number, tuple(names)


def flat_members(graph: TypeGraph, number: int) -> Iterator[TypePart]:
    """The members of a struct or union, with those of structs and unions in it that have no name of their own.

    Of debug information that is made to be endless the first members only, and then one called `ENDLESS`.
    """
    pending = [("", 0, _DEPTH, iter(graph.at(number).parts))]
    for _ in range(_MOST):
        if not pending:
            return
        prefix, base, depth, parts = pending[-1]
        part = next(parts, None)
        if part is None:
            pending.pop()
            continue
        inner = _nameless(graph, part)
        if inner is not None and depth:
            below = f"{prefix}{part.name}." if part.name else prefix
            pending.append((below, base + part.offset, depth - 1, iter(inner.parts)))
        else:
            yield part._replace(name=prefix + part.name, offset=base + part.offset)
    yield TypePart(ENDLESS, 0)


def _nameless(graph: TypeGraph, part: TypePart) -> Type | None:
    """The struct or union without a name of its own that a member is; None for any other member."""
    real, aliases = graph.real(part.type)
    inner = graph.at(real)
    return inner if inner.form in COMPOSITE and not inner.name and not _typedef(aliases) else None


def grouping(graph: TypeGraph, number: int) -> list[tuple[int, str, str]]:
    """How the members of a struct or union stand in structs and unions without a name of their own: of each its depth,
    name, and keyword if it is one of those."""
    found: list[tuple[int, str, str]] = []
    pending = [iter(graph.at(number).parts)]
    for _ in range(_MOST):
        if not pending:
            break
        part = next(pending[-1], None)
        if part is None:
            pending.pop()
            continue
        inner = _nameless(graph, part)
        found.append((len(pending), part.name, inner.keyword if inner else ""))
        if inner is not None and len(pending) <= _DEPTH:
            pending.append(iter(inner.parts))
    return found


def flattened(graph: TypeGraph, array: Type) -> Type:
    """An array of arrays as one array: BTF has it so, DWARF has its dimensions."""
    for _ in range(_DEPTH):
        inner = graph.at(graph.real(array.target)[0])
        if inner.form is not Form.ARRAY:
            break
        array = array._replace(target=inner.target, length=array.length * inner.length)
    return array


def size_of(graph: TypeGraph, number: int) -> int:
    """The bytes of a type; 0 where it has none."""
    found = graph.at(graph.real(number)[0])
    if found.form is Form.ARRAY:
        return found.length * size_of(graph, found.target)
    return found.size


def spelled(graph: TypeGraph, number: int, inner: str = "", depth: int = _DEPTH) -> str:
    """A type as C declares it: `struct page *`, `int (*)(struct file *)`."""
    if not depth:
        return "..."
    found = graph.at(number)
    if found.form is Form.POINTER:
        target = graph.at(found.target)
        star = f"*{inner}"
        return spelled(graph, found.target, f"({star})" if target.form in _POSTFIX else star, depth - 1)
    if found.form is Form.ARRAY:
        return spelled(graph, found.target, f"{inner}[{found.length or ''}]", depth - 1)
    if found.form is Form.FUNCTION:
        shown = found.parts[:_SPELLED]
        parameters = [spelled(graph, part.type, "", max(depth - 4, 0)) for part in shown]
        parameters += ["..."] if found.length or len(shown) < len(found.parts) else []
        return spelled(graph, found.target, f"{inner}({', '.join(parameters) or 'void'})", depth - 1)
    if found.form is Form.ALIAS and found.keyword != "typedef":
        pointer = graph.at(found.target).form is Form.POINTER
        if pointer:
            return spelled(graph, found.target, f" {found.name}{' ' if inner[:1].isalnum() else ''}{inner}", depth - 1)
        return f"{found.name} {spelled(graph, found.target, inner, depth - 1)}"
    name = found.name or "{...}"
    words = f"{found.keyword} {name}" if found.form in NAMED and found.keyword else name
    return f"{words}{'' if inner[:1] in ('', '[') else ' '}{inner}"


_POSTFIX = (Form.ARRAY, Form.FUNCTION)


def _typedef(aliases: tuple[str, ...]) -> bool:
    """Whether there is a name by which others could refer to the type."""
    return any(name not in QUALIFIERS for name in aliases)


QUALIFIERS = frozenset(("const", "volatile", "restrict", "_Atomic"))

# SPDX-License-Identifier: GPL-2.0-only
"""The types of a kernel or of one of its modules, from BTF (include/uapi/linux/btf.h)."""

from __future__ import annotations

from functools import cached_property

from kbuildpy.abi.type_graph import VOID, Form, Type, TypePart, follow
from kbuildpy.errors import KbuildError
from kbuildpy.loader.btf.types import EACH, WORDS, BtfTypes, Kind

_POINTER = 8
_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_COMPOSITE = {Kind.STRUCT: (Form.STRUCT, "struct"), Kind.UNION: (Form.UNION, "union")}
_LISTED: frozenset[int] = frozenset((Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FUNC, Kind.VAR))


class BtfGraph:
    """The types in `types`. A number that there is not is void.

    `shift` is added to the numbers of a module's own types, so that those of several modules differ.
    """

    def __init__(self, types: BtfTypes, shift: int = 0) -> None:
        self.types, self._shift = types, shift
        self._types: dict[int, Type] = {0: VOID}
        self._real: dict[int, tuple[int, tuple[str, ...]]] = {}

    def at(self, number: int) -> Type:
        """Type `number`."""
        found = self._types.get(number)
        if found is None:
            try:
                found = self._types[number] = self._read(number)
            except (IndexError, ValueError) as error:
                raise KbuildError(f"type information (BTF) is damaged: type {number} is cut off") from error
        return found

    def real(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The type behind typedefs and qualifiers, and their names."""
        found = self._real.get(number)
        if found is None:
            found = self._real[number] = follow(self, number)
        return found

    def functions(self, name: str) -> list[int]:
        """The types of the functions called `name`: several where static functions of several files are called so."""
        return self._targets(Kind.FUNC, name)

    def variables(self, name: str) -> list[int]:
        """The types of the variables called `name`; BTF has those of each processor, and few others."""
        return self._targets(Kind.VAR, name)

    def named(self, keyword: str, name: str) -> list[int]:
        """The types `struct name`, `union name` or `enum name`."""
        kinds = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": (Kind.ENUM, Kind.ENUM64)}[keyword]
        wanted = name.encode(errors="surrogateescape")
        return [self._number(number) for kind in kinds for number in self._listed.get((kind, wanted), ())]

    @cached_property
    def names(self) -> frozenset[tuple[str, str]]:
        """All structs, unions and enums that have a name: keyword and name."""
        words = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}
        return frozenset(
            (words[Kind(kind)], name.decode("utf-8", "surrogateescape")) for kind, name in self._listed if kind in words
        )

    def _targets(self, kind: Kind, name: str) -> list[int]:
        found = self._listed.get((kind, name.encode(errors="surrogateescape")), ())
        return list(dict.fromkeys(self._number(self._words(number)[2]) for number in found))

    def _number(self, number: int) -> int:
        return number + self._shift if number >= self.types.start_id else number

    @cached_property
    def _listed(self) -> dict[tuple[int, bytes], list[int]]:
        """The graph's own types with a name, without the base's, by kind and name."""
        found: dict[tuple[int, bytes], list[int]] = {}
        types = self.types
        words, mask = types.words, types.masks[0]
        for number, at in enumerate(types.starts, types.start_id):
            kind = words[at + 1] >> 24 & mask
            if kind in _LISTED and words[at]:
                found.setdefault((kind, types.name_at(words[at]) or b""), []).append(number)
        return found

    def _words(self, number: int) -> tuple[int, ...]:
        """The words of type `number`; zeros for one that there is not."""
        holder = self.types.holder(number)
        if holder is None:
            return (0, 0, 0)
        at = holder.start_of(number)
        kind, count = holder.kind_at(at), holder.vlen_at(at)
        length = WORDS + EACH.get(kind, 0) * count
        # (one word or three behind some kinds)
        return tuple(holder.words[at : at + max(length, WORDS + 3)])

    def _name(self, offset: int) -> str:
        return (self.types.name_at(offset) or b"").decode("utf-8", "surrogateescape")

    def _read(self, number: int) -> Type:
        number = number - self._shift if number >= self._shift else number
        holder = self.types.holder(number)
        if holder is None:
            return VOID
        at = holder.start_of(number)
        kind, count, flag = holder.kind_at(at), holder.vlen_at(at), holder.words[at + 1] >> 31
        words = self._words(number)
        name, target = self._name(words[0]) if words[0] else "", self._number(words[2])
        if kind in (Kind.INT, Kind.FLOAT):
            return Type(Form.NUMBER, name, words[2])
        if kind == Kind.PTR:
            return Type(Form.POINTER, "", _POINTER, target)
        if kind == Kind.ARRAY:
            return Type(Form.ARRAY, "", 0, self._number(words[WORDS]), (), words[WORDS + 2])
        if kind in _COMPOSITE:
            form, keyword = _COMPOSITE[Kind(kind)]
            return Type(form, name, words[2], 0, self._members(words, count, flag), 0, keyword)
        if kind in (Kind.ENUM, Kind.ENUM64):
            if not count:
                return Type(Form.FORWARD, name, 0, 0, (), 0, "enum")
            return Type(Form.ENUM, name, words[2], 0, self._values(kind, words, count), 0, "enum")
        if kind == Kind.FWD:
            return Type(Form.FORWARD, name, 0, 0, (), 0, "union" if flag else "struct")
        if kind == Kind.FUNC_PROTO:
            return self._function(words, count)
        if kind == Kind.TYPEDEF:
            return Type(Form.ALIAS, name, 0, target, (), 0, "typedef")
        if kind in _QUALIFIERS:
            return Type(Form.ALIAS, _QUALIFIERS[Kind(kind)], 0, target)
        if kind == Kind.TYPE_TAG:
            return Type(Form.ALIAS, name, 0, target)
        return VOID

    def _members(self, words: tuple[int, ...], count: int, has_bitfields: int) -> tuple[TypePart, ...]:
        found = []
        for at in range(WORDS, WORDS + 3 * count, 3):
            name, type, bits = words[at : at + 3]
            width = bits >> 24 if has_bitfields else 0
            found.append(
                TypePart(self._name(name), self._number(type), bits & 0xFFFFFF if has_bitfields else bits, width)
            )
        return tuple(found)

    def _values(self, kind: int, words: tuple[int, ...], count: int) -> tuple[TypePart, ...]:
        if kind == Kind.ENUM:
            return tuple(TypePart(self._name(words[at]), words[at + 1]) for at in range(WORDS, WORDS + 2 * count, 2))
        each = range(WORDS, WORDS + 3 * count, 3)
        return tuple(TypePart(self._name(words[at]), words[at + 1] | words[at + 2] << 32) for at in each)

    def _function(self, words: tuple[int, ...], count: int) -> Type:
        each = range(WORDS, WORDS + 2 * count, 2)
        parts = tuple(TypePart(self._name(words[at]), self._number(words[at + 1])) for at in each)
        variable = bool(parts) and not parts[-1].name and not parts[-1].type
        return Type(Form.FUNCTION, "", 0, self._number(words[2]), parts[:-1] if variable else parts, int(variable))

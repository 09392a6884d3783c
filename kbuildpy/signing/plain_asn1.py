# SPDX-License-Identifier: GPL-2.0-only
"""DER by declared types (X.690), as far as `structures` needs it: the names, and the behaviour, of
`cryptography.hazmat.asn1`, for a cryptography that has no such module yet. `asn1` chooses between them.

A sequence is a class with annotations; a field that may be missing is `| None`, one of several kinds a union.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from cryptography.x509 import ObjectIdentifier

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Implicit:
    """A context-specific tag in place of a value's own."""

    number: int


@dataclasses.dataclass(frozen=True)
class Explicit:
    """A context-specific tag around a value."""

    number: int


@dataclasses.dataclass(frozen=True)
class Null:
    """NULL."""


@dataclasses.dataclass(frozen=True)
class TLV:
    """Any element, which is not looked into."""

    tag_bytes: bytes
    data: bytes
    _whole: bytes = dataclasses.field(repr=False)

    def parse(self, kind: Any) -> Any:
        """The element as a value of a declared type; `ValueError` if it is none."""
        return decode_der(kind, self._whole)


@dataclasses.dataclass(frozen=True)
class BitString:
    """A string of bits: whole bytes, of the last of which `padding_bits` are unused."""

    data: bytes
    padding_bits: int

    def as_bytes(self) -> bytes:
        """The bytes, with the unused bits."""
        return self.data


class SetOf(Generic[_T]):
    """A set of values of one type; it is written in the order of their encodings, as DER demands."""

    def __init__(self, inner: list[_T]) -> None:
        self._values = list(inner)

    def as_list(self) -> list[_T]:
        """The values."""
        return list(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SetOf) and self._values == other._values

    __hash__ = None  # type: ignore[assignment] # as that of cryptography: it is compared, and not looked up


class _Element(NamedTuple):
    """Where an element of DER begins, its tag, and where its value begins and ends."""

    begin: int
    tag: int
    start: int
    end: int


class _Kind(NamedTuple):
    """A declared type: `type`, of a set that of its values (`item`), and the tag in place of or around its own."""

    type: Any
    item: Any
    mark: Implicit | Explicit | None

    @property
    def tag(self) -> int | None:
        """The first byte of the encoding; None for any."""
        own = _tag_of(self.type)
        if self.mark is None or own is None:
            return own
        return 0xA0 | self.mark.number if isinstance(self.mark, Explicit) else 0x80 | (own & 0x20) | self.mark.number


class _Field(NamedTuple):
    name: str
    kinds: dict[int | None, _Kind]
    """By the first byte; None for any."""
    optional: bool


def sequence(cls: type[_T]) -> type[_T]:
    """Declare a class a sequence: its annotations become fields, which the constructor takes by name."""
    made = dataclasses.dataclass(repr=False, eq=False, match_args=False, kw_only=True)(cls)
    hints = get_type_hints(made, include_extras=True)
    made.__asn1_fields__ = tuple(_field(name, hint) for name, hint in hints.items())  # type: ignore[attr-defined]
    return made


def decode_der(kind: type[_T], value: bytes) -> _T:
    """The value of a declared type in DER. Raises `ValueError` for another one, and for bytes behind it."""
    found = _element(value, 0, len(value))
    declared = _Kind(kind, None, None)
    if declared.tag not in (None, found.tag):
        raise ValueError(f"a tag {found.tag:#x} where {declared.tag:#x} was expected")
    if found.end != len(value):
        raise ValueError("bytes behind the value")
    decoded: _T = _decode(declared, value, found)
    return decoded


def encode_der(value: Any) -> bytes:
    """A value as DER."""
    return _encode(value, None)


def _field(name: str, hint: Any) -> _Field:
    mark = None
    if get_origin(hint) is Annotated:
        hint, mark = get_args(hint)
    arms = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = [_kind(arm, mark) for arm in arms if arm is not type(None)]
    return _Field(name, {kind.tag: kind for kind in kinds}, type(None) in arms)


def _kind(hint: Any, mark: Any) -> _Kind:
    if get_origin(hint) is Annotated:
        hint, mark = get_args(hint)
    if get_origin(hint) is SetOf:
        return _Kind(SetOf, _kind(get_args(hint)[0], None), mark)
    return _Kind(hint, None, mark)


def _tag_of(kind: Any) -> int | None:
    return 0x30 if hasattr(kind, "__asn1_fields__") else _TAGS[kind]


# --- Reading


def _element(der: bytes, begin: int, limit: int) -> _Element:
    if begin + 2 > limit:
        raise ValueError("it ends in the middle of an element")
    tag, at = der[begin], begin + 1
    if tag & 0x1F == 0x1F:
        number, at = _base128(der, at, limit)
        if number < 0x1F:
            raise ValueError("a tag is longer than need be")
    if at >= limit:
        raise ValueError("it ends in the middle of an element")
    length, start = der[at], at + 1
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > limit:
            raise ValueError("an element has no definite length")
        length = int.from_bytes(der[start : start + size], "big")
        if length < 0x80 or der[start] == 0:
            raise ValueError("a length is longer than need be")
        start += size
    if start + length > limit:
        raise ValueError("an element is longer than what it is in")
    return _Element(begin, tag, start, start + length)


def _base128(der: bytes, at: int, limit: int) -> tuple[int, int]:
    """The number at `at`, seven bits a byte, and where it ends."""
    number, begin = 0, at
    while at < limit:
        number = number << 7 | der[at] & 0x7F
        at += 1
        if der[begin] == 0x80:
            raise ValueError("a number is longer than need be")
        if not der[at - 1] & 0x80:
            return number, at
    raise ValueError("it ends in the middle of a number")


def _decode(kind: _Kind, der: bytes, found: _Element) -> Any:
    """The value of an element whose tag was compared."""
    if isinstance(kind.mark, Explicit):
        inner, plain = _element(der, found.start, found.end), kind._replace(mark=None)
        if inner.tag != plain.tag or inner.end != found.end:
            raise ValueError("something else than one value of the declared type is in an explicit tag")
        return _decode(plain, der, inner)
    if hasattr(kind.type, "__asn1_fields__"):
        return _decode_fields(kind.type, der, found)
    if kind.type is SetOf:
        return _decode_set(kind.item, der, found)
    if kind.type is TLV:
        at = found.begin + 1
        if der[found.begin] & 0x1F == 0x1F:
            _, at = _base128(der, at, found.end)
        return TLV(der[found.begin : at], der[found.start : found.end], der[found.begin : found.end])
    return _DECODERS[kind.type](der[found.start : found.end])


def _decode_fields(cls: Any, der: bytes, found: _Element) -> Any:
    values: dict[str, Any] = {}
    at = found.start
    for field in cls.__asn1_fields__:
        # (that an element ends within the sequence is checked only where one is taken)
        tag = der[at] if at < found.end else None
        kind = field.kinds.get(tag) or field.kinds.get(None) if tag is not None else None
        if kind is None:
            if not field.optional:
                raise ValueError(f"{cls.__name__}: {field.name} is missing")
            values[field.name] = None
            continue
        item = _element(der, at, found.end)
        values[field.name] = _decode(kind, der, item)
        at = item.end
    if at != found.end:
        raise ValueError(f"{cls.__name__}: something is behind its last field")
    return cls(**values)


def _decode_set(kind: _Kind, der: bytes, found: _Element) -> SetOf[Any]:
    values, at, last = [], found.start, b""
    while at < found.end:
        item = _element(der, at, found.end)
        if kind.tag not in (None, item.tag):
            raise ValueError(f"a tag {item.tag:#x} in a set of others")
        encoded = der[at : item.end]
        if encoded < last:
            raise ValueError("the values of a set are not in order")
        values.append(_decode(kind, der, item))
        at, last = item.end, encoded
    return SetOf(values)


def _decode_integer(value: bytes) -> int:
    if not value or (len(value) > 1 and value[0] in (0, 0xFF) and value[0] >> 7 == value[1] >> 7):
        raise ValueError("a number is longer than need be")
    return int.from_bytes(value, "big", signed=True)


@lru_cache(maxsize=256)
def _decode_oid(value: bytes) -> ObjectIdentifier:
    if not value or len(value) > _MOST_OF_OID:
        raise ValueError("an object identifier has no length that is known")
    arcs, at = [], 0
    while at < len(value):
        number, at = _base128(value, at, len(value))
        arcs.append(number)
    first = min(arcs[0] // 40, 2)
    return ObjectIdentifier(".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:]))))


def _decode_null(value: bytes) -> Null:
    if value:
        raise ValueError("a NULL that is not empty")
    return Null()


def _decode_bits(value: bytes) -> BitString:
    if not value or value[0] > 7 or (len(value) == 1 and value[0]) or value[-1] & ((1 << value[0]) - 1):
        raise ValueError("a bit string whose unused bits are not as they have to be")
    return BitString(value[1:], value[0])


_MOST_OF_OID = 63

_DECODERS: dict[Any, Callable[[bytes], Any]] = {
    int: _decode_integer,
    bytes: bytes,
    ObjectIdentifier: _decode_oid,
    Null: _decode_null,
    BitString: _decode_bits,
}
_TAGS = {int: 0x02, BitString: 0x03, bytes: 0x04, Null: 0x05, ObjectIdentifier: 0x06, SetOf: 0x31, TLV: None}


# --- Writing


def _encode(value: Any, mark: Implicit | Explicit | None) -> bytes:
    if isinstance(value, TLV):
        return value._whole
    own = _tag_of(type(value))
    assert own is not None
    if isinstance(mark, Explicit):
        return _wrap(0xA0 | mark.number, _encode(value, None))
    return _wrap(own if mark is None else 0x80 | (own & 0x20) | mark.number, _contents(value))


def _contents(value: Any) -> bytes:
    if hasattr(value, "__asn1_fields__"):
        return b"".join(
            _encode(item, _kind_of(item, field).mark)
            for field in value.__asn1_fields__
            if (item := getattr(value, field.name)) is not None
        )
    if isinstance(value, SetOf):
        return b"".join(sorted(_encode(item, None) for item in value.as_list()))
    if isinstance(value, int):
        return value.to_bytes(
            (value.bit_length() if value >= 0 else (~value).bit_length()) // 8 + 1, "big", signed=True
        )
    if isinstance(value, ObjectIdentifier):
        first, second, *others = map(int, value.dotted_string.split("."))
        return b"".join(map(_seven_bits, (40 * first + second, *others)))
    if isinstance(value, BitString):
        return bytes([value.padding_bits]) + value.data
    return b"" if isinstance(value, Null) else bytes(value)


def _kind_of(value: Any, field: _Field) -> _Kind:
    return next(kind for kind in field.kinds.values() if isinstance(value, kind.type))


def _seven_bits(number: int) -> bytes:
    rest = bytes([number & 0x7F])
    while number := number >> 7:
        rest = bytes([number & 0x7F | 0x80]) + rest
    return rest


def _wrap(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents

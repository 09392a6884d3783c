# SPDX-License-Identifier: GPL-2.0-only
"""Splits the string of arguments of init_module(2) as the kernel does (lib/cmdline.c: next_arg).

The kernel splits bytes, not characters. Its table of characters is Latin-1, so the byte 0xa0 separates arguments, even
as a part of a UTF-8 character such as "à".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SPACES = b"\t\n\v\f\r \xa0"


class Argument(NamedTuple):
    """One argument, and the text that is left to split."""

    name: bytes
    """The text before the first "="."""
    value: bytes | None
    """The text after the first "="; None without "=". An "=" as the first byte belongs to the name."""
    rest: bytes
    """The text after the argument and the spaces that follow it."""


def as_bytes(args: str) -> bytes:
    """Return the bytes of `args` that the kernel copies: those before the first NUL."""
    return args.encode("utf-8", "surrogateescape").partition(b"\0")[0]


def as_text(text: bytes) -> str:
    """Return `text` as a string that `as_bytes` turns into the same bytes, also if it is not UTF-8."""
    return text.decode("utf-8", "surrogateescape")


def arguments(args: bytes) -> Iterator[Argument]:
    """Yield all arguments of `args`, including those after "--"."""
    rest = args.lstrip(SPACES)
    while rest:
        argument = next_arg(rest)
        yield argument
        rest = argument.rest


def next_arg(args: bytes) -> Argument:
    """Return the first argument of `args`, which must not begin with a space.

    Between double quotes, spaces do not end the argument; a quote cannot be escaped. Quotes around the whole argument
    or around its value are removed, all others are kept.
    """
    quoted = args.startswith(b'"')
    text = args[quoted:]
    end, equals = _extent(text, in_quote=quoted)
    word, rest = text[:end], text[end + 1 :].lstrip(SPACES)
    closed = word.endswith(b'"')
    if not equals:
        return Argument(word[:-1] if quoted and closed else word, None, rest)
    value = word[equals + 1 :]
    if value.startswith(b'"'):
        # A value that is one quote alone is empty: the kernel takes the same quote for the opening and the closing one.
        value = value[1:-1] if closed else value[1:]
        closed = False
    if quoted and closed:
        value = value[:-1]
    return Argument(word[:equals], value, rest)


def _extent(text: bytes, *, in_quote: bool) -> tuple[int, int]:
    """The offset of the end of the first argument in `text`, and of its "=" (0: there is none)."""
    equals = 0
    for position, byte in enumerate(text):
        if byte in SPACES and not in_quote:
            return position, equals
        if byte == ord("=") and not equals:
            equals = position
        if byte == ord('"'):
            in_quote = not in_quote
    return len(text), equals

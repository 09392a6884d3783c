# SPDX-License-Identifier: GPL-2.0-only
"""The string of arguments that init_module(2) takes, split as the kernel splits it (lib/cmdline.c: next_arg).

Bytes, not characters: the kernel's table of characters is Latin-1's, so the byte 0xa0 separates arguments, also where
it is a part of a UTF-8 character such as "à".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SPACES = b"\t\n\v\f\r \xa0"


class Argument(NamedTuple):
    """One argument: `value` is None without "=" (an "=" at the very beginning does not count), `rest` is the text
    behind it."""

    name: bytes
    value: bytes | None
    rest: bytes


def as_bytes(args: str) -> bytes:
    """What the kernel copies of `args`: up to the first NUL."""
    return args.encode("utf-8", "surrogateescape").partition(b"\0")[0]


def as_text(text: bytes) -> str:
    """`text` as a string that `as_bytes` takes back."""
    return text.decode("utf-8", "surrogateescape")


def arguments(args: bytes) -> Iterator[Argument]:
    """All arguments of `args`, also those after "--"."""
    rest = args.lstrip(SPACES)
    while rest:
        argument = next_arg(rest)
        yield argument
        rest = argument.rest


def next_arg(args: bytes) -> Argument:
    """The first argument of `args`, which begin with it.

    Double quotes keep spaces in an argument wherever they stand, and cannot be escaped. They are taken away around the
    whole argument or around its value; one that is opened elsewhere stays.
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
        # One quote alone opens the value and is taken for the closing one, too.
        value = value[1:-1] if closed else value[1:]
        closed = False
    if quoted and closed:
        value = value[:-1]
    return Argument(word[:equals], value, rest)


def _extent(text: bytes, *, in_quote: bool) -> tuple[int, int]:
    """Where the argument ends, and where its "=" is (0: nowhere)."""
    equals = 0
    for position, byte in enumerate(text):
        if byte in SPACES and not in_quote:
            return position, equals
        if byte == ord("=") and not equals:
            equals = position
        if byte == ord('"'):
            in_quote = not in_quote
    return len(text), equals

# SPDX-License-Identifier: GPL-2.0-only
"""Patterns of the shell as the C library matches them: fnmatch(3) without flags, in the locale C.

`fnmatch` of the standard library knows neither backslashes nor `[^...]` nor classes. The patterns come from modules and
may be made to take long: here a pattern takes at most its length times that of the name.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

_Test = Callable[[str], bool]
_CLASS = re.compile(r"\[:([a-y]*):\]")
_STAR: None = None
"""Stands for any number of characters."""

_CLASSES: dict[str, frozenset[str]] = {
    "alpha": frozenset(string.ascii_letters),
    "digit": frozenset(string.digits),
    "alnum": frozenset(string.ascii_letters + string.digits),
    "upper": frozenset(string.ascii_uppercase),
    "lower": frozenset(string.ascii_lowercase),
    "space": frozenset(" \t\n\r\v\f"),
    "blank": frozenset(" \t"),
    "punct": frozenset(string.punctuation),
    "xdigit": frozenset(string.hexdigits),
    "cntrl": frozenset(map(chr, (*range(32), 127))),
    "print": frozenset(map(chr, range(32, 127))),
    "graph": frozenset(map(chr, range(33, 127))),
}


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` stands for `name`, as a whole."""
    parts = _parts(pattern)
    if parts is None:
        return False
    at = here = 0
    star, tried = -1, 0
    while here < len(name):
        part = parts[at] if at < len(parts) else _never
        if part is _STAR:
            star, tried = at, here
            at += 1
        elif part(name[here]):
            at += 1
            here += 1
        elif star >= 0:
            # (only the last star needs another try: what is before it fits already)
            tried += 1
            at, here = star + 1, tried
        else:
            return False
    return all(part is _STAR for part in parts[at:])


def with_underscores(name: str) -> str | None:
    """`name` with _ for -, but not in brackets; None for one with a bracket too many (shared/util.c: underscores,
    alias_normalize)."""
    found: list[str] = []
    rest = name
    while rest:
        outside, bracket, rest = rest.partition("[")
        if "]" in outside:
            return None
        found.append(outside.replace("-", "_"))
        if bracket:
            inside, closing, rest = rest.partition("]")
            if not closing:
                return None
            found.append(f"[{inside}]")
    return "".join(found)


def _parts(pattern: str) -> list[_Test | None] | None:
    """A test for each character that the pattern stands for, None for a star; None for a pattern that nothing fits."""
    found: list[_Test | None] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            found.append(_STAR)
        elif character == "?":
            found.append(lambda _: True)
        elif character == "[":
            bracket = _bracket(pattern, at)
            if bracket is None:
                found.append("[".__eq__)
            else:
                test, at = bracket
                found.append(test)
        elif character == "\\":
            if at == len(pattern):
                return None
            found.append(pattern[at].__eq__)
            at += 1
        else:
            found.append(character.__eq__)
    return found


def _bracket(pattern: str, at: int) -> tuple[_Test, int] | None:
    """The test of the bracket whose inside begins at `at`, and where it ends; None for one that does not end."""
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    single: set[str] = set()
    ranges: list[tuple[str, str]] = []
    first = True
    while first or pattern[at : at + 1] != "]":
        first = False
        if named := _CLASS.match(pattern, at):
            known = _CLASSES.get(named[1])
            if known is None:
                # (with a class of another name the C library lets nothing match)
                return _never, len(pattern)
            single |= known
            at = named.end()
            continue
        begin, at = _character(pattern, at)
        if not begin:
            return None
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("]", ""):
            last, at = _character(pattern, at + 1)
            if not last:
                return None
            ranges.append((begin, last))
        else:
            single.add(begin)

    def test(character: str) -> bool:
        return (character in single or any(low <= character <= high for low, high in ranges)) != negated

    return test, at + 1


def _character(pattern: str, at: int) -> tuple[str, int]:
    """The character at `at` in a bracket, without a backslash before it, and where the next one is; "" at the end."""
    if pattern[at : at + 1] == "\\":
        at += 1
    return pattern[at : at + 1], at + 1


def _never(_: str) -> bool:
    return False

# SPDX-License-Identifier: GPL-2.0-only
"""Where the text of a source defines and uses a name: what is known of a place without debug information.

The text is looked at without comments, strings and directives. Macros are not expanded, so a name that a macro makes is
not found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

LARGEST = 4 << 20
"""Bytes of a source that is looked at."""
_NO_CODE = rb"""/\*.*?(?:\*/|\Z)|//(?:[^\n\\]|\\.)*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
# (a comment that begins in a directive goes on over lines)
_BLANKED = re.compile(rb"%s|^[ \t]*\#(?:%s|[^\n\\]|\\.)*" % (_NO_CODE, _NO_CODE), re.DOTALL | re.MULTILINE)
_NOT_NEWLINE = re.compile(rb"[^\n]")
_BRACKET = re.compile(rb"[{}()]|;")
_ATTRIBUTES = frozenset(
    re.findall(
        rb"\w+",
        b"""
        __attribute__ __section __aligned __printf __scanf __alloc_size __assume_aligned __nonnull __no_sanitize
        __acquires __releases __must_hold __cond_acquires __cond_releases typeof __typeof__
        """,
    )
)
"""Names that stand before brackets beside the name of a function."""


@dataclass(frozen=True)
class Definition:
    """A function or a variable that a source defines, by offsets into the text."""

    name: str
    start: int
    """Where its name is."""
    stop: int
    """Behind its body or initializer."""
    is_function: bool
    is_static: bool = False


@dataclass(frozen=True)
class SourceText:
    """The text of one source."""

    path: str
    text: bytes
    """What it says, blanks for what does not count."""

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(rb"\n", self.text))]

    def line(self, offset: int) -> int:
        """The line of an offset, counted from 1."""
        return bisect_right(self._starts, offset)

    def uses(self, name: str, *, within: Definition | None = None) -> list[int]:
        """The lines that have `name` as a word, in the body of `within` alone if that is given."""
        start, stop = (within.start, within.stop) if within else (0, len(self.text))
        word = re.compile(rb"\b%s\b" % re.escape(name.encode()))
        return list(dict.fromkeys(self.line(match.start()) for match in word.finditer(self.text, start, stop)))

    def definition(self, name: str) -> Definition | None:
        """The first definition of `name`."""
        return next((each for each in self.definitions if each.name == name), None)

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """The functions with their bodies and the variables, in their order."""
        return tuple(_definitions(self.text))


@lru_cache(maxsize=64)
def read_source(path: str) -> SourceText | None:
    """The source at `path`; None for one that cannot be read, or is too large."""
    try:
        if Path(path).stat().st_size > LARGEST:
            return None
        return SourceText(path, blank(Path(path).read_bytes()))
    except OSError:
        return None


def blank(text: bytes) -> bytes:
    """`text` with blanks for comments, strings and directives: each byte stays in its place."""
    return _BLANKED.sub(lambda match: _NOT_NEWLINE.sub(b" ", match[0]), text)


def _definitions(text: bytes) -> Iterator[Definition]:
    """Statements at file scope: `name(...) {...}` is a function, `name = ...;` and `name;` a variable."""
    at, stop = 0, len(text)
    while at < stop:
        end = _end_of_statement(text, at)
        yield from _defined(text, at, end)
        at = end


def _end_of_statement(text: bytes, at: int) -> int:
    """Behind the `;` or the body that ends the statement at `at`."""
    depth, brackets, start = 0, 0, at
    for match in _BRACKET.finditer(text, at):
        mark = match[0]
        if mark in (b"(", b")"):
            brackets += 1 if mark == b"(" else -1
        elif mark == b"{":
            depth += 1
        elif mark == b"}":
            depth -= 1
            if depth <= 0:
                # (`} name = ...` and `};` go on)
                head = text[start : match.start()].partition(b"{")[0].rstrip()
                if not head.endswith(b"=") and b")" in head and not re.search(rb"=\s*[^;]*$", head):
                    return match.end()
        elif depth <= 0 and brackets <= 0:
            return match.end()
    return len(text)


def _defined(text: bytes, start: int, end: int) -> Iterator[Definition]:
    statement = text[start:end]
    head = re.split(rb"[={]", statement, maxsplit=1)[0]
    if re.match(rb"\s*(?:extern|typedef)\b", head) or re.fullmatch(rb"\s*(?:struct|union|enum)\s+\w+\s*;", head):
        return
    is_static = re.search(rb"\bstatic\b", head) is not None
    if statement.rstrip().endswith(b"}"):
        function = _function_name(head)
        if function:
            name, at = function[0].decode(), start + function.start()
            yield Definition(name, at, end, is_function=True, is_static=is_static)
        return
    if statement[len(head) :].startswith(b"{") and re.search(rb"\b(?:struct|union|enum)\b", head):
        # (what stands before its members is a tag)
        start = _behind_body(text, start + len(head), end)
        statement = text[start:end]
        head = re.split(rb"[={]", statement, maxsplit=1)[0]
    if b"(" in head and not re.search(rb"\(\s*\*", head):
        called = re.match(rb"\s*(?:static\s+|const\s+)*(\w+)\s*\(\s*(\w+)", statement)
        if called:  # (DEFINE_MUTEX(name), module_init(name))
            yield Definition(called[2].decode(), start + called.start(2), end, is_function=False, is_static=is_static)
        return
    pointer = re.search(rb"\(\s*\*+\s*(?:(?:const|volatile)\s+)*([A-Za-z_]\w*)", head)
    # (attributes such as __initdata stand behind the name or before it)
    plain = re.search(rb"\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*(?:(?:__\w+)(?:\s*\([^)]*\))?\s*)*;?\s*$", head)
    found = pointer or plain
    while found is plain and found and found[1].startswith(b"__"):
        head = head[: found.start(1)]
        plain = found = re.search(rb"\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*$", head)
    if found:
        yield Definition(found[1].decode(), start + found.start(1), end, is_function=False, is_static=is_static)


def _function_name(head: bytes) -> re.Match[bytes] | None:
    """The name in what stands before the body of a function: outside of brackets, before one, and no attribute."""
    names, depth = [], 0
    for match in re.finditer(rb"[()]|\b[A-Za-z_]\w*(?=\s*\()", head):
        if match[0] in (b"(", b")"):
            depth += 1 if match[0] == b"(" else -1
        elif not depth and match[0] not in _ATTRIBUTES:
            names.append(match)
    # (the last one with a plain name: other attributes of the kernel begin with underscores)
    plain = [match for match in names if not match[0].startswith(b"__")]
    return plain[-1] if plain else names[0] if names else None


def _behind_body(text: bytes, at: int, end: int) -> int:
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    for match in _BRACKET.finditer(text, at, end):
        depth += {b"{": 1, b"}": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return end

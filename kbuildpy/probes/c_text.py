# SPDX-License-Identifier: GPL-2.0-only
"""The text of probes, looked at as words of C: is it whole, which names does it use, and which does it declare?

Probes share a translation unit. So a text must close what it opens, and one that another probe could see the effects of
must be known. Where that is not certain, the answer here errs to the side of a unit of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_COMMENT = r"//[^\n]*|/\*.*?\*/"
_LITERAL = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
# (a comment that begins in a directive goes on over lines; one that is not closed ends the directive)
_TOKEN = re.compile(
    rf"""(?P<space>\s+|{_COMMENT})
      |(?P<directive>\#(?:{_COMMENT}|{_LITERAL}|(?!/\*)[^\n\\]|\\.)*)
      |(?P<literal>{_LITERAL})
      |(?P<word>[A-Za-z_]\w*)
      |(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_TAGS = ("struct", "union", "enum")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        auto break case char const continue default do double else enum extern float for goto if inline int long
        register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
        __attribute__ __inline __typeof__ typeof asm
        """,
    )
)


class Token(NamedTuple):
    """A word of C."""

    kind: str
    text: str
    line: int


class Flaw(NamedTuple):
    """What is wrong with a text, at a line of it (from 1)."""

    line: int
    message: str


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...]:
    """The words of `text`, without space and comments."""
    return tuple(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match[0], line)
        line += match[0].count("\n")


def first_flaw(text: str) -> Flaw | None:
    """Where `text` leaves a bracket, a comment, a literal or an #if open, or closes what it did not open; None for a
    text that is whole. A probe that is not would swallow the next one."""
    opened: list[Token] = []
    conditions: list[Token] = []
    for token in tokens(text):
        if token.kind == "directive":
            word = _directive(token)
            if word in ("if", "ifdef", "ifndef"):
                conditions.append(token)
            elif word in ("elif", "else", "endif") and not conditions:
                return Flaw(token.line, f"#{word} without #if")
            elif word == "endif":
                conditions.pop()
        elif token.text in "([{":
            opened.append(token)
        elif token.text in _CLOSES:
            if not opened or opened[-1].text != _CLOSES[token.text]:
                return Flaw(token.line, f"'{token.text}' closes nothing")
            opened.pop()
        elif token.text in "\"'":
            return Flaw(token.line, f"{token.text} is not closed")
        elif token.kind == "mark" and token.text == "/" and text.count("/*") > text.count("*/"):
            return Flaw(token.line, "/* is not closed")
        elif token.text in "\\\0":
            return Flaw(token.line, f"stray {token.text!r}")
    for left in (*opened, *conditions):
        return Flaw(left.line, f"'{left.text.split()[0]}' is not closed")
    return None


def is_call(text: str) -> bool:
    """Whether `text`, which is whole, is one call of a name and nothing else."""
    depth = 0
    found = tokens(text)
    for number, token in enumerate(found):
        depth += (token.text in "([{") - (token.text in ")]}")
        if number and depth == 0 and number + 1 < len(found):
            return False
    return len(found) > 2 and found[0].kind == "word" and found[1].text == "("


class Names(NamedTuple):
    """The identifiers in a text. Those of its directives count as plain ones."""

    plain: frozenset[str]
    """Of variables, functions, types, macros."""
    others: frozenset[str]
    """Of members and labels, and tags (behind struct, union, enum)."""
    tags: frozenset[str]
    """The tags among them."""


@lru_cache(maxsize=4096)
def names_in(text: str) -> Names:
    """The identifiers in `text`, by what stands before them."""
    plain: set[str] = set()
    others: set[str] = set()
    tags: set[str] = set()
    before = ""
    for token in tokens(text):
        if token.kind == "directive":
            plain.update(re.findall(r"[A-Za-z_]\w*", token.text))
        elif token.kind == "word":
            if before in _TAGS:
                tags.add(token.text)
            (others if before in (".", ">", "goto", *_TAGS) else plain).add(token.text)
        before = token.text
    return Names(frozenset(plain), frozenset(others), frozenset(tags))


def needs_own_unit(text: str) -> bool:
    """Whether `text` has directives that last beyond it: macros, headers, pragmas."""
    allowed = ("if", "ifdef", "ifndef", "elif", "else", "endif", "error", "warning")
    return any(token.kind == "directive" and _directive(token) not in allowed for token in tokens(text))


class Declared(NamedTuple):
    """The names that a text at file scope may declare."""

    plain: frozenset[str]
    """Of variables, functions, types."""
    tags: frozenset[str]
    """Behind struct, union, enum."""
    calls: frozenset[str]
    """Those of `plain` that only begin a declaration and are followed by a bracket: DEFINE_X in `DEFINE_X(a, b)`. A
    macro of that name is used there, and nothing of that name is declared."""


@lru_cache(maxsize=4096)
def declared_names(text: str) -> Declared:
    """What `text`, which stands at file scope, may declare: names before `( = [ ; , {` outside of brackets,
    enumerators, and every word in the arguments of a macro that begins a declaration (DEFINE_X(a, b))."""
    tags: set[str] = set()
    calls: set[str] = set()
    others: set[str] = set()
    opened: list[str] = []
    name, before, is_first, at_start, after_enum, in_macro = "", "", False, True, False, False
    for token in tokens(text):
        if token.kind == "directive":
            continue
        if token.kind == "word":
            if in_macro:
                others.add(token.text)
            if before in _TAGS:
                tags.add(token.text)
            if name and not opened and token.text.startswith("__"):
                others.add(name)  # (an attribute stands behind a name)
            after_enum = after_enum or token.text == "enum"
            name = "" if token.text in _KEYWORDS or before in _TAGS else token.text
            is_first, at_start = at_start, at_start and token.text == "static"
            before = token.text
            continue
        if name and (not opened or opened[-1] == "enum") and token.text in "([{=;,}":
            (calls if token.text == "(" and is_first and not opened else others).add(name)
        if token.text in "([{":
            in_macro = in_macro or (not opened and token.text == "(" and bool(name) and is_first)
            opened.append("enum" if token.text == "{" and after_enum else token.text)
            after_enum = False
        elif token.text in _CLOSES and opened:
            opened.pop()
            in_macro = in_macro and bool(opened)
        at_start = not opened and token.text in ";}"
        name, before = "", token.text
    return Declared(frozenset(calls | others), frozenset(tags & _defined_tags(text)), frozenset(calls - others))


def _defined_tags(text: str) -> set[str]:
    return set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*[{;]", text))


def _directive(token: Token) -> str:
    match = re.match(r"[ \t]*#\s*(\w*)", token.text)
    return match[1] if match else ""

# SPDX-License-Identifier: GPL-2.0-only
"""Looks for names in the headers of a kernel tree, for many names at a time.

A tree has 6,600 headers of 44 MB. They are read once for all names of a message, and those of all trees not longer than
`PATIENCE`: help that comes late is no help. Where they were not read to the end by then, that is told, and they are
read again for the next message.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from kbuildpy.advice.conditions import HeaderCondition, conditions_at, unmet
from kbuildpy.advice.source_text import blank
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.tree import KernelTree

PATIENCE = 3.0
"""Seconds that headers are read for one message."""
_MOST = 8
"""Places of one name."""
_LEFT_OUT = frozenset({"dt-bindings", "config"})
_TAG = r"(?:struct|union|enum)"
_BEFORE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+$|(?![ \t*#/]).*(?<!\w)$|$|[ \t]+$")
"""What stands before a name in a line that may declare it: only then is the whole header looked at."""
_STATEMENT = re.compile(r"\s*(?:return|else|if|while|for|do|goto|case|default|sizeof)\b")


@dataclass(frozen=True)
class Declaration:
    """What a header says that makes a name known."""

    name: str
    file: str
    """The header, below the top of its tree."""
    line: int
    kind: str
    """`function`, `inline`, `macro`, `type` or `name`."""
    text: str
    """The declaration in one line, without a body; of a macro the body, too."""
    body: str = ""
    """The body of an inline function or a macro."""
    conditions: tuple[HeaderCondition, ...] = ()

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    @property
    def included_as(self) -> str:
        """The name for `#include <...>`; "" for a header that is not found by one."""
        _, found, name = self.file.rpartition("include/")
        name = name.removeprefix("uapi/").removeprefix("generated/")
        return name if found else ""

    def excluded_by(self, config: Mapping[str, str]) -> HeaderCondition | None:
        """The condition around it that `config` does not meet."""
        return unmet(self.conditions, config)


@dataclass(frozen=True)
class HeaderText:
    """One header; what its text means is found out when it is needed."""

    file: str
    """Its path below the top of its tree."""
    contents: bytes

    @cached_property
    def text(self) -> str:
        """What it says; a character for each byte."""
        return self.contents.decode("latin-1")

    @cached_property
    def plain(self) -> str:
        """The same with blanks for comments, strings and directives."""
        return blank(self.contents).decode("latin-1")


def search_deadline() -> float:
    """When (`time.monotonic()`) the search for a message that is explained from now on ends."""
    return time.monotonic() + PATIENCE


def find_declarations(tree: KernelTree, names: Collection[str], *, deadline: float) -> dict[str, list[Declaration]]:
    """Where the tree's headers declare each of `names` (functions, macros, types, variables, enumerators), those of
    include/linux first, as far as that is known at the `deadline`."""
    known = _known(tree)
    found: dict[str, list[Declaration]] = {name: [] for name in names if name not in known}
    if found and _search(tree, found, deadline):
        known.update(found)
    return {name: known[name] if name in known else found[name] for name in names}


def is_searched(tree: KernelTree, name: str) -> bool:
    """Whether `find_declarations` has read all that the tree's headers say of `name`."""
    return name in _known(tree)


@lru_cache(maxsize=8)
def _known(tree: KernelTree) -> dict[str, list[Declaration]]:
    """The names that were looked for to the end in this process: what one object does not find, the next one does not
    find either."""
    return {}


def _search(tree: KernelTree, found: dict[str, list[Declaration]], deadline: float) -> bool:
    """Add to the lists of `found`; whether that was done before the deadline."""
    wanted = {name: name.encode() for name in found}
    for path in _headers(tree):
        if not wanted:
            break
        if time.monotonic() > deadline:
            return False
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - hot: a tree has 6,600
                contents = file.read()
        except OSError:
            continue
        names_here = [name for name, word in wanted.items() if word in contents]
        if not names_here:
            continue
        header = HeaderText(_below(path, tree), contents)
        for name in names_here:
            found[name] += declarations_in(header, name)
            if len(found[name]) >= _MOST:
                del wanted[name]
    return True


def header_roots(tree: KernelTree) -> list[Path]:
    """The folders below which the tree's headers are."""
    arch = f"arch/{architecture_of(tree).srcarch}/include"
    parts = dict.fromkeys((tree.source, tree.objects))
    places = [tree.source / "include/linux", *(part / name for part in parts for name in ("include", arch))]
    return [place for place in places if place.is_dir()]


def declarations_in(header: HeaderText, name: str) -> list[Declaration]:
    """The declarations of `name` in a header."""
    if not _is_likely(header.contents, name.encode()):
        return []
    text, plain = header.text, header.plain
    found = [*_macros(text, name), *_types(plain, name), *_others(plain, name)]
    made = []
    for at, kind, said, body in sorted(found):
        line = text.count("\n", 0, at) + 1
        conditions = tuple(conditions_at(text, line))
        said, body = " ".join(said.split()), " ".join(body.split())
        made.append(Declaration(name, header.file, line, kind, said, body, conditions))
    return made


def _is_likely(contents: bytes, word: bytes) -> bool:
    """Whether a line of a header may declare `word`."""
    at = contents.find(word)
    while at >= 0:
        start = contents.rfind(b"\n", 0, at) + 1
        following = contents[at + len(word) : at + len(word) + 1]
        if not (following.isalnum() or following == b"_") and _BEFORE.match(contents[start:at]):
            return True
        at = contents.find(word, at + 1)
    return False


_Found = tuple[int, str, str, str]


def _macros(text: str, name: str) -> Iterator[_Found]:
    word = re.escape(name)
    pattern = rf"^[ \t]*#[ \t]*define[ \t]+{word}\b(?P<parameters>\([^)\n]*\))?(?P<body>(?:[^\n\\]|\\.)*)"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        body = re.sub(r"/\*.*?\*/|//.*|\\\n", " ", match["body"], flags=re.DOTALL)
        yield match.start(), "macro", f"#define {name}{match['parameters'] or ''} {body}", body


def _types(plain: str, name: str) -> Iterator[_Found]:
    word = re.escape(name)
    for match in re.finditer(rf"^(?:typedef\s+)?({_TAG})\s+{word}\b[^;{{}}()=]*\{{", plain, re.MULTILINE):
        yield match.start(), "type", f"{match[1]} {name}", ""
    for match in re.finditer(rf"^typedef\b[^;{{}}]*\b{word}\s*(?:\)\s*\([^;]*)?;", plain, re.MULTILINE):
        yield match.start(), "type", match[0], ""
    for match in re.finditer(rf"^\}}\s*{word}\s*;", plain, re.MULTILINE):
        yield match.start(), "type", f"typedef {name}", ""


def _others(plain: str, name: str) -> Iterator[_Found]:
    """Functions, variables and enumerators, by what stands around a word that is not in a body."""
    for match in re.finditer(rf"\b{re.escape(name)}\b", plain):
        before = plain.rfind("\n", 0, match.start()) + 1
        head = _statement_head(plain, match.start())
        if _STATEMENT.match(head) or re.match(r"\s*(?:typedef\b|#)", head) or re.search(rf"\b{_TAG}\s*$", head):
            continue
        rest = plain[match.end() : match.end() + 2000]
        if re.match(r"\s*\(", rest):
            stop = _closing(rest)
            if stop and re.search(r"[\w*]\s*$", head) and "=" not in head and "(" not in _without_attributes(head):
                said = f"{head.strip()} {name}{rest[:stop]}".replace("* ", "*")
                is_body = re.match(r"\s*(?:__\w+(?:\([^)]*\))?\s*)*\{", rest[stop:])
                if is_body:
                    start = match.end() + stop + is_body.end()
                    yield match.start(), "inline", said, plain[start : _end_of_body(plain, start)]
                else:
                    yield match.start(), "function", said, ""
        elif re.match(r"\s*(?:\[[^\]]*\]\s*)?;", rest) and re.match(r"\s*extern\b", head):
            yield match.start(), "name", f"{head.strip()} {name}", ""
        elif (
            re.match(r"\s*(?:=[^,;{}]*)?(?:,|\})", rest)
            and not plain[before : match.start()].strip()
            and re.search(r"\benum\b[^;{}()]*\{[^{}]*$", plain[max(0, match.start() - 20000) : match.start()])
        ):
            yield match.start(), "name", name, ""


def _statement_head(plain: str, at: int) -> str:
    """What the statement that has `at` says before it."""
    start = max(plain.rfind(mark, max(0, at - 500), at) for mark in (";", "}", "{"))
    return re.sub(r"^\s*\n", "", plain[start + 1 if start >= 0 else max(0, at - 500) : at])


def _without_attributes(head: str) -> str:
    return re.sub(r"\b(?:__\w+|asmlinkage|DECLARE_\w+)\s*\((?:[^()]|\([^()]*\))*\)", "", head)


def _closing(text: str) -> int:
    """Behind the bracket that closes the first one of `text`; 0 if none does."""
    depth = 0
    for match in re.finditer(r"[();]", text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return 0


def _end_of_body(text: str, at: int) -> int:
    depth = 1
    for match in re.finditer(r"[{}]", text[at : at + 4000]):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return at + match.start()
    return at + 4000


def _headers(tree: KernelTree) -> Iterator[str]:
    seen = set()
    for root in header_roots(tree):
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
            for name in sorted(names):
                path = f"{folder}/{name}"
                if name.endswith(".h") and path not in seen:
                    seen.add(path)
                    yield path


def _below(path: str, tree: KernelTree) -> str:
    for top in (f"{tree.source}/", f"{tree.objects}/"):
        if path.startswith(top):
            return path.removeprefix(top)
    return path

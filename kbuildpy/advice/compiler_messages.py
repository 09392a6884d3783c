# SPDX-License-Identifier: GPL-2.0-only
"""The errors of GCC and clang that a change of the kernel's interface causes, as values.

A message is recognised by its English words; `kbuild/compile_again` asks for these. Others are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kbuildpy.compiler_line import compiler_line

_TAG = r"(?:struct|union) (\w+)"
_DECLARED_HERE = re.compile(r"'(\w+)' (?:has been explicitly marked \w+ here|declared here)|macro '(\w+)' defined here")
_NEAR = re.compile(r"near initialization for '(\w+)(?:\[\d+\])*(?:\.<anonymous>)*\.(\w+)'")
"""A member of the variable itself, or of an unnamed struct or union in it."""


@dataclass(frozen=True)
class MissingName:
    """What a compiler does not find, or finds to be another than the source takes it for."""

    kind: str
    """`function`, `name`, `type`, `storage` (a variable of a type that is not known), `header`, `member`, `arguments`
    (of a function or macro), `callback` (a member that is initialized with a function of another type)."""
    name: str
    file: str
    """Where the source has it, as the compiler names it."""
    line: int
    of: str = ""
    """The struct of a member; of a callback the variable."""


@dataclass
class _Error:
    file: str
    line: int
    text: str
    notes: list[str]


def missing_names(text: str) -> list[MissingName]:
    """What the compiler's messages are about, each once, in their order."""
    found: dict[tuple[str, str, str], MissingName] = {}
    for error in _errors(text):
        each = _recognise(error)
        if each is None:
            continue
        first = found.setdefault((each.kind, each.name, each.of), each)
        if not first.file.endswith(".c") and each.file.endswith(".c"):
            # (an argument that is a macro has its place in the header that defines it)
            found[each.kind, each.name, each.of] = each
    misused = {each.name for each in found.values() if each.kind == "arguments"}
    # (GCC does not know the name of a macro that it could not expand)
    return [each for each in found.values() if each.kind not in ("name", "function") or each.name not in misused]


def _errors(text: str) -> Iterator[_Error]:
    latest: _Error | None = None
    for line in text.splitlines():
        said = compiler_line(line)
        if said is None or said.line is None:
            continue
        if said.kind == "note" and latest is not None:
            latest.notes.append(said.text)
        elif said.is_error:
            if latest is not None:
                yield latest
            latest = _Error(said.file, said.line, said.text, [])
    if latest is not None:
        yield latest


_FORMS = (
    ("function", re.compile(r"implicit declaration of function '(\w+)'")),
    ("function", re.compile(r"call to undeclared (?:library )?function '(\w+)'")),
    ("arguments", re.compile(r"too (?:many|few) arguments to function '(\w+)'")),
    ("arguments", re.compile(r'macro "(\w+)" (?:passed|requires) \d+ arguments?')),
    ("arguments", re.compile(r"passing argument \d+ of '(\w+)'")),
    ("name", re.compile(r"'(\w+)' undeclared \(first use|'(\w+)' undeclared here")),
    ("name", re.compile(r"use of undeclared identifier '(\w+)'")),
    ("type", re.compile(r"unknown type name '(\w+)'")),
    ("type", re.compile(rf"(?:undefined|incomplete) type '(?:const )?{_TAG}'")),
    ("type", re.compile(rf"incomplete definition of type '(?:const )?{_TAG}'")),
    ("storage", re.compile(r"storage size of '(\w+)' isn't known")),
    ("header", re.compile(r"^([\w./+-]+): No such file or directory")),
    ("header", re.compile(r"^'([\w./+-]+)' file not found")),
)
_MEMBERS = (
    re.compile(rf"'(?:[^']*\b)?{_TAG}'(?:\}})? has no member named '(\w+)'"),
    re.compile(
        r"field designator '(?P<member>\w+)' does not refer to any field in type '[^']*?(?:struct|union) (?P<tag>\w+)'"
    ),
    re.compile(r"no member named '(?P<member>\w+)' in '[^']*?(?:struct|union) (?P<tag>\w+)'"),
)


def _recognise(error: _Error) -> MissingName | None:
    file, line, text = error.file, error.line, error.text
    for pattern in _MEMBERS:
        match = pattern.search(text)
        if match:
            named = match.groupdict()
            tag, member = (named["tag"], named["member"]) if named else (match[1], match[2])
            return MissingName("member", member, file, line, tag)
    for kind, pattern in _FORMS:
        match = pattern.search(text)
        if match:
            return MissingName(kind, next(filter(None, match.groups())), file, line)
    if re.match(r"too (?:many|few) arguments (?:to function call|provided to function-like macro)", text):
        for note in error.notes:
            match = _DECLARED_HERE.search(note)
            if match:
                return MissingName("arguments", match[1] or match[2], file, line)
    if "incompatible" in text and "pointer type" in text:
        for note in error.notes:
            match = _NEAR.search(note)
            if match:
                return MissingName("callback", match[2], file, line, match[1])
    return None

# SPDX-License-Identifier: GPL-2.0-only
"""What a source sees after the preprocessor: the functions and macros that it can use, and the members of structs.

This is `gcc -E -dD` of the very source, with the kernel's configuration applied: what is here, is there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_MARKER = re.compile(r'^# (\d+) "((?:[^"\\\n]|\\.)*)"[^\n]*\n', re.MULTILINE)
_DEFINE = re.compile(r"^#define (\w+)(\([^)\n]*\))?", re.MULTILINE)
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
_MARK = re.compile(r"[{}]|\b([A-Za-z_]\w*)\s*\(")
_ENUM = re.compile(r"\benum\b[^;{}()]*\{([^{}]*)\}")
_DECLARATOR = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?::[^:]*)?$")
_KEYWORDS = frozenset(
    {"if", "for", "while", "switch", "return", "sizeof", "typeof", "__typeof__", "__attribute__", "asm"}
)


class VisibleMember(NamedTuple):
    """A member of a struct or a union."""

    name: str
    text: str
    """Its declaration in one line."""
    file: str
    """As the compiler names it."""
    line: int


@dataclass(frozen=True)
class VisibleText:
    """A preprocessed source."""

    text: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The functions that are declared, and the macros with parameters, each once."""
        found: dict[str, None] = {}
        depth = 0
        for match in _MARK.finditer(self._code):
            if match[0] == "{":
                depth += 1
            elif match[0] == "}":
                depth = max(depth - 1, 0)
            elif not depth and match[1] not in _KEYWORDS:
                found[match[1]] = None
        found.update((match[1], None) for match in _DEFINE.finditer(self.text) if match[2])
        return tuple(found)

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """Macros without parameters, and enumerators."""
        found = {match[1]: None for match in _DEFINE.finditer(self.text) if not match[2]}
        for match in _ENUM.finditer(self._code):
            found.update((name, None) for name in re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", match[1]))
        return tuple(found)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The names of typedefs, and of structs, unions and enums with members."""
        found = dict.fromkeys(re.findall(r"\b(?:struct|union|enum)\s+(\w+)[^;{}()=]*\{", self._code))
        found |= dict.fromkeys(re.findall(r"^typedef\b[^;{}]*?\b(\w+)\s*;", self._code, re.MULTILINE))
        return tuple(found)

    def includes(self, file: str) -> bool:
        """Whether the header `file` (below the top of its tree) was read."""
        return any(marker[2] == file or marker[2].endswith(f"/{file}") for marker in self._markers)

    def members(self, tag: str) -> list[VisibleMember]:
        """The members of `struct tag` or `union tag`, those of unnamed structs inside of it among them."""
        match = re.search(rf"\b(?:struct|union)\s+{re.escape(tag)}\b[^;{{}}()=]*\{{", self._code)
        return list(self._members(match.end())) if match else []

    def type_of_variable(self, name: str) -> str:
        """The tag of the struct that the variable `name` is one of, by its definition; "" if that is not found."""
        pattern = rf"\bstruct\s+(\w+)\s+(?:\w+\s+)*{re.escape(name)}\s*(?:\[[^\]]*\])?\s*(?:=|;|__)"
        tags = re.findall(pattern, self._code)
        # (headers stand before the source, and may have members of that name)
        return tags[-1] if tags else ""

    def place(self, offset: int) -> tuple[str, int]:
        """File and line of an offset into the text."""
        index = bisect_right(self._marker_ends, offset) - 1
        if index < 0:  # (a header as it is written)
            return "", self.text.count("\n", 0, offset) + 1
        marker = self._markers[index]
        return marker[2], int(marker[1]) + self.text.count("\n", marker.end(), offset)

    def _members(self, at: int) -> Iterator[VisibleMember]:
        code = self._code
        start = at
        depth = 0
        opened = 0
        for match in re.finditer(r"[{};]", code[at : at + 200_000]):
            where = at + match.start()
            if match[0] == "{":
                opened = opened if depth else where
                depth += 1
            elif match[0] == "}":
                depth -= 1
                if depth < 0:
                    return
            elif not depth:
                yield from self._declared(start, where, opened if start <= opened < where else 0)
                start = where + 1

    def _declared(self, start: int, stop: int, opened: int) -> Iterator[VisibleMember]:
        """The members that the declaration from `start` to `stop` makes; its body, if any, begins at `opened`."""
        code = _without_markers(self._code[start:stop])
        body_end = code.rfind("}")
        tail = code[body_end + 1 :] if opened else code
        tail = _without_attributes(tail)
        head = re.sub(r"\s+", " ", code[: code.find("{")]).strip() + " {...}" if opened else ""
        names = re.findall(r"\(\s*\*+\s*(?:const\s+)?(\w+)[^)]*\)\s*\(", tail)[:1]
        if not names:
            parts = tail.split(",")
            found = [_DECLARATOR.search(part) for part in parts]
            # (`unsigned :0` has no name)
            if found[0] and not opened and not parts[0][: found[0].start()].strip():
                found = found[1:]
            names = [match[1] for match in found if match]
        if opened and not tail.strip():
            yield from self._members(opened + 1)  # (an unnamed struct or union)
            return
        for name in names:
            if name.isdigit():
                continue
            places = [match.start() for match in re.finditer(rf"\b{name}\b", self._code[start:stop])]
            offset = start + places[-1]
            file, line = self.place(offset)
            yield VisibleMember(name, " ".join(f"{head} {tail}".split()), file, line)

    @cached_property
    def _code(self) -> str:
        """The text with blanks for literals and directives (`#define`), but for the markers' places."""
        blanked = _LITERAL.sub(lambda match: " " * len(match[0]), self.text)
        return re.sub(r"^#[^\n]*", lambda match: " " * len(match[0]), blanked, flags=re.MULTILINE)

    @cached_property
    def _markers(self) -> list[re.Match[str]]:
        return list(_MARKER.finditer(self.text))

    @cached_property
    def _marker_ends(self) -> list[int]:
        return [match.end() for match in self._markers]


def _without_attributes(code: str) -> str:
    """A declaration without `__attribute__((...))`, however deep brackets are in it."""
    while (at := code.find("__attribute__")) >= 0:
        depth, stop = 0, len(code)
        begin = code.find("(", at)
        for place in range(begin, len(code)) if begin >= 0 else ():
            depth += {"(": 1, ")": -1}.get(code[place], 0)
            if not depth:
                stop = place + 1
                break
        code = f"{code[:at]} {code[stop:]}"
    return code


def _without_markers(code: str) -> str:
    return re.sub(r"\n\s*\n", "\n", code)

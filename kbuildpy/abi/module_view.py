# SPDX-License-Identifier: GPL-2.0-only
"""What the debug information of a module says of types: how it was compiled with them, and where it mentions them.

DWARF describes types, not accesses. GCC describes every struct that a variable, parameter or cast leads to, and none
that stands in sizeof or offsetof only: a struct that is not described is therefore not known to be unused.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kbuildpy.abi.compare_types import Comparer, Difference
from kbuildpy.abi.dwarf_graph import DwarfGraph
from kbuildpy.abi.type_graph import NAMED, Form, TypeGraph
from kbuildpy.debug import forms
from kbuildpy.debug.damage import readable
from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.debug.entries import EntryReader
from kbuildpy.files import read_limited

Name = tuple[str, str]
"""Keyword and name of a type: `struct`, `page`."""

_TYPES = {
    forms.TAG_STRUCTURE_TYPE: "struct",
    forms.TAG_UNION_TYPE: "union",
    forms.TAG_ENUMERATION_TYPE: "enum",
}
_TOP = frozenset((*_TYPES, forms.TAG_SUBPROGRAM, forms.TAG_VARIABLE))
_SOURCE_LIMIT = 4 << 20
_MOST_FILES = 20_000
"""Files and folders that are looked at for a module's own headers: its sources may lie in a large tree."""


class Described(NamedTuple):
    """A type that a unit of the module describes in full."""

    offset: int
    file: str
    """The path of the file that declares it, as the compiler was told; "" if that is not known."""


class TypeMention(NamedTuple):
    """A place where the module declares something of a type."""

    file: str
    line: int
    function: str
    """"" outside of functions."""
    variable: str


class Access(NamedTuple):
    """A line of the module's sources with the name of a member behind a dot or an arrow."""

    file: str
    line: int
    member: str
    variable: str
    """The variable of the type that stands before it; "" for another expression, whose type is not known."""


class ModuleView:
    """The types in the debug information of one module. Methods raise `KbuildError` for damaged debug information."""

    def __init__(self, info: DebugInfo) -> None:
        self._info = info
        self.graph = DwarfGraph(info)

    @cached_property
    def described(self) -> dict[Name, list[Described]]:
        """The structs, unions and enums that have a name and are described in full, each once for each unit."""
        found: dict[Name, list[Described]] = {}
        with readable(self._info.image.filename):
            for reader, start, tag in self._entries:
                if tag not in _TYPES:
                    continue
                entry, at = reader.abbreviation(start)
                attributes = reader.attributes(entry, at)[0] if entry else {}
                if forms.AT_NAME in attributes and forms.AT_DECLARATION not in attributes:
                    name = reader.text(attributes[forms.AT_NAME])
                    number = attributes.get(forms.AT_DECL_FILE)
                    file = self._info.file(reader, number.number) if number else ""
                    found.setdefault((_TYPES[tag], name), []).append(Described(start, file))
        return found

    @cached_property
    def imports(self) -> dict[str, int]:
        """The types of the functions and variables that are only declared, by their names."""
        found: dict[str, int] = {}
        with readable(self._info.image.filename):
            for reader, start, tag in self._entries:
                if tag not in (forms.TAG_SUBPROGRAM, forms.TAG_VARIABLE):
                    continue
                entry, at = reader.abbreviation(start)
                attributes = reader.attributes(entry, at)[0] if entry else {}
                if forms.AT_DECLARATION in attributes and forms.AT_NAME in attributes:
                    name = reader.text(attributes[forms.AT_NAME])
                    of = start if tag == forms.TAG_SUBPROGRAM else self.graph.target(reader, attributes)
                    found.setdefault(name, of)
        return found

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The source files of the units, but not those that every module has: the one that modpost wrote, and from 6.12
        on the kernel's scripts/module-common.c."""
        with readable(self._info.image.filename):
            found = dict.fromkeys(self._info.source(reader) for reader in self._info.units())
        return tuple(path for path in found if not path.endswith((".mod.c", "/scripts/module-common.c")))

    @cached_property
    def directory(self) -> str:
        """The directory that all of the module's own sources are in; "" for none."""
        folders = [posixpath.dirname(path) for path in self.sources]
        return posixpath.commonpath(folders) if folders and len({path[:1] for path in folders}) == 1 else ""

    def is_own(self, file: str) -> bool:
        """Whether `file` is one of the module's own, and not one of the kernel's headers."""
        return file in self.sources or (bool(self.directory) and file.startswith(f"{self.directory}/"))

    def differences(self, offset: int, other: TypeGraph, number: int) -> list[Difference]:
        """The differences of a described type from type `number` of a kernel, also in types without a name in it."""
        comparer = Comparer(self.graph, other)
        found: list[Difference] = []
        pending = [(offset, number, "")]
        seen = set()
        with readable(self._info.image.filename):
            while pending:
                old, new, prefix = pending.pop()
                if (old, new) in seen:
                    continue
                seen.add((old, new))
                local = comparer.compare(old, new)
                found += [each.within(prefix) for each in local.hard]
                pending += [
                    (edge.old, edge.new, f"{prefix}{edge.label}: ")
                    for edge in local.edges
                    if not self.graph.at(edge.old).name
                ]
        return found

    def mentions(self, wanted: Collection[Name]) -> dict[Name, list[TypeMention]]:
        """Where the module declares variables and parameters of these types, or pointers to them: those of its own
        files first."""
        found: dict[Name, dict[TypeMention, None]] = {}
        with readable(self._info.image.filename):
            for reader, start, tag in self._entries:
                if tag == forms.TAG_VARIABLE:
                    self._mention(reader, start, "", wanted, found)
                elif tag == forms.TAG_SUBPROGRAM:
                    self._in_function(reader, start, wanted, found)
        return {name: sorted(each, key=self._rank) for name, each in found.items()}

    def accesses(self, name: Name, members: Collection[str], mentions: Collection[TypeMention]) -> list[Access]:
        """The lines of the module's sources, where these are still there, that have one of `members` behind a dot or
        an arrow: of which struct is known only where one of `mentions` of type `name` stands before it."""
        names = {re.sub(r"\(.*", "", member).rpartition(".")[2] for member in members}
        names.discard("")
        if not names:
            return []
        pattern = re.compile(rf"(?:\b(\w+)\s*)?(?:->|\.)\s*({'|'.join(sorted(map(re.escape, names)))})\b")
        found = []
        for path, lines in self._texts.items():
            spans = self._spans(path, mentions)
            for number, line in enumerate(lines, 1):
                for each in pattern.finditer(line):
                    variable = each[1] or ""
                    known = any(variable == word and number in span for word, span in spans)
                    known |= (variable, name) == ("current", ("struct", "task_struct"))
                    found.append(Access(path, number, each[2], variable if known else ""))
        return sorted(found, key=lambda each: (not each.variable, each.file, each.line))

    def _spans(self, path: str, mentions: Collection[TypeMention]) -> list[tuple[str, range]]:
        """The variables that `mentions` declare in a file, and the lines in which they can stand."""
        found = []
        starts = self._functions.get(path, [])
        for each in mentions:
            if each.file == path:
                following = next((line for line in starts if line > each.line), 1 << 30) if each.function else 1 << 30
                found.append((each.variable, range(each.line, following)))
        return found

    @cached_property
    def _functions(self) -> dict[str, list[int]]:
        """The lines in which functions begin, by file."""
        found: dict[str, set[int]] = {}
        with readable(self._info.image.filename):
            for reader, start, tag in self._entries:
                entry, at = reader.abbreviation(start)
                attributes = reader.attributes(entry, at)[0] if entry and tag == forms.TAG_SUBPROGRAM else {}
                file, line = attributes.get(forms.AT_DECL_FILE), attributes.get(forms.AT_DECL_LINE)
                if file and line and forms.AT_DECLARATION not in attributes:
                    found.setdefault(self._info.file(reader, file.number), set()).add(line.number)
        return {path: sorted(lines) for path, lines in found.items()}

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        """The lines of the module's own sources that can be read here."""
        found = {}
        for path in self.sources:
            try:
                file = Path(path)
                if file.is_file() and file.stat().st_size <= _SOURCE_LIMIT:
                    found[path] = file.read_text(errors="replace").splitlines()
            except (OSError, ValueError):
                continue
        return found

    def names_symbol(self, symbol: str) -> bool | None:
        """Whether the module's own sources or headers have the name `symbol`, outside of which a macro or an inline
        function of the kernel's headers used it; None where not all of them can be read here."""
        is_readable = bool(self.sources) and len(self._texts) == len(self.sources)
        headers = self._own_headers if is_readable else None
        if headers is None:
            return None
        word = re.compile(rf"\b{re.escape(symbol)}\b")
        return any(word.search(line) for lines in (*self._texts.values(), *headers) for line in lines)

    @cached_property
    def _own_headers(self) -> list[list[str]] | None:
        """The lines of the headers in the folders of the module's own sources, and below them; None for too many files,
        and for one that cannot be read."""
        found: dict[Path, list[str]] = {}
        looked_at = 0
        for top in dict.fromkeys(posixpath.dirname(path) for path in self.sources):
            for folder, folders, files in os.walk(top):
                looked_at += len(files) + len(folders)
                if looked_at > _MOST_FILES:
                    return None
                for path in (Path(folder, name) for name in files if name.endswith(".h")):
                    try:
                        if path not in found and path.is_file():
                            found[path] = read_limited(path, _SOURCE_LIMIT).decode(errors="replace").splitlines()
                    except OSError:
                        return None
        return [*found.values()]

    @cached_property
    def _entries(self) -> list[tuple[EntryReader, int, int]]:
        return [
            (reader, start, entry.tag) for reader in self._info.units() for start, entry, _ in reader.top_level(_TOP)
        ]

    def _in_function(
        self, reader: EntryReader, start: int, wanted: Collection[Name], found: dict[Name, dict[TypeMention, None]]
    ) -> None:
        entry, at = reader.abbreviation(start)
        attributes = reader.attributes(entry, at)[0] if entry else {}
        if forms.AT_DECLARATION in attributes or forms.AT_NAME not in attributes:
            return
        function = reader.text(attributes[forms.AT_NAME])
        for _, offset, below, _ in reader.below(start):
            if below.tag in (forms.TAG_VARIABLE, forms.TAG_FORMAL_PARAMETER):
                self._mention(reader, offset, function, wanted, found)

    def _mention(
        self,
        reader: EntryReader,
        start: int,
        function: str,
        wanted: Collection[Name],
        found: dict[Name, dict[TypeMention, None]],
    ) -> None:
        entry, at = reader.abbreviation(start)
        attributes = reader.attributes(entry, at)[0] if entry else {}
        if forms.AT_TYPE not in attributes or forms.AT_NAME not in attributes:
            return
        name = self.named_type(self.graph.target(reader, attributes))
        if name is None or name not in wanted:
            return
        file, line = attributes.get(forms.AT_DECL_FILE), attributes.get(forms.AT_DECL_LINE)
        path = self._info.file(reader, file.number) if file else ""
        variable = reader.text(attributes[forms.AT_NAME])
        found.setdefault(name, {})[TypeMention(path, line.number if line else 0, function, variable)] = None

    def named_type(self, number: int) -> Name | None:
        """The type with a name behind pointers and arrays."""
        for _ in range(16):
            number, _names = self.graph.real(number)
            type = self.graph.at(number)
            if type.form in NAMED:
                return (type.keyword, type.name) if type.name else None
            if type.form not in (Form.POINTER, Form.ARRAY):
                return None
            number = type.target
        return None

    def _rank(self, mention: TypeMention) -> tuple[bool, str, int]:
        return not self.is_own(mention.file), mention.file, mention.line


def short_places(mentions: Collection[TypeMention], directory: str) -> Iterator[str]:
    """`drv.c:88 (probe: dev)` for each mention, with files relative to `directory`."""
    for each in mentions:
        within = f" ({each.function}: {each.variable})" if each.function else f" ({each.variable})"
        yield f"{short_path(each.file, directory)}:{each.line}{within}"


def short_path(file: str, directory: str) -> str:
    """`file` without `directory`, and headers of the kernel from `include/` on."""
    if directory and file.startswith(f"{directory}/"):
        return file[len(directory) + 1 :]
    _, found, rest = file.rpartition("/include/")
    return f"include/{rest}" if found else file

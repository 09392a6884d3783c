# SPDX-License-Identifier: GPL-2.0-only
"""The file of a module that is loaded: which one, whether it is the same build, and how a debugger can read it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kbuildpy.compression import compression_of
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.running_module import RunningModule
from kbuildpy.debug.subjects import Subject, read_subject
from kbuildpy.elf.constants import SHF_WRITE, STB_LOCAL, STT_FILE, STT_FUNC, STT_OBJECT
from kbuildpy.elf.symbols import Symbol
from kbuildpy.errors import KbuildError

_IDENTIFIER = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_FOR_LOADER = ("init_module", "cleanup_module")
_UNPACK = {"gzip": "gzip", "xz": "xz", "zstd": "zstd", "bzip2": "bzip2"}
"""What `compression_of` finds, and the program that unpacks it with -dc."""


class Variable(NamedTuple):
    """A variable of a module, and its source file: "" where the symbol table does not tell."""

    name: str
    source: str


@dataclass(frozen=True)
class LoadedFile:
    """A file of a module that may be loaded."""

    subject: Subject
    running: RunningModule | None

    @cached_property
    def is_same_build(self) -> bool | None:
        """Whether it is what was loaded: by the build id, else by the digest of its sources. None for neither."""
        for own, loaded in self._marks():
            if own and loaded:
                return own == loaded
        return None

    @cached_property
    def has_same_sources(self) -> bool:
        """Whether the digest of the sources is that of the loaded module."""
        own, loaded = self._marks()[1]
        return bool(own) and own == loaded

    @cached_property
    def has_debug_info(self) -> bool:
        """Whether there is debug information, in the file itself or in one of its own."""
        return self.subject.debug is not None

    @cached_property
    def debug_file(self) -> Path:
        """The file that has the debug information; the module's own if none has."""
        debug = self.subject.debug
        return self.subject.file if debug is None else Path(debug.image.filename).absolute()

    def preparation(self, copy: Path) -> list[str]:
        """The commands of a shell that make `copy`, a file that debuggers can read; none if `debug_file` is one.

        gdb reads no compressed module, and puts code at wrong places if a section has an address (elf/addresses.py).
        """
        commands, file = [], self.debug_file
        image = self.subject.image if self.subject.debug is None else self.subject.debug.image
        if program := _UNPACK.get(_compression(file)):
            commands.append(f"{program} -dc {shlex.quote(str(file))} > {shlex.quote(str(copy))}")
            file = copy
        if any(section.address for section in image.sections):
            names = [file] if file == copy else [file, copy]
            commands.append(shlex.join(["objcopy", "--change-section-address", "*=0", *map(str, names)]))
        return commands

    @cached_property
    def function(self) -> str:
        """A function of the module, for an example: the first one of .text; "" for none."""
        text = self.subject.image.section(".text")
        found = [
            (symbol.value, symbol.name)
            for symbol in self._named(STT_FUNC)
            if text and symbol.shndx == text.index and symbol.name not in _FOR_LOADER
        ]
        return min(found)[1] if found else ""

    @cached_property
    def variable(self) -> Variable | None:
        """A variable of the module, for an example: the first one that can change; None for none."""
        source = ""
        for symbol in self.subject.image.symbols:
            if symbol.type == STT_FILE:
                source = symbol.name
            elif symbol.type == STT_OBJECT and _IDENTIFIER.fullmatch(symbol.name) and self._is_variable(symbol):
                return Variable(symbol.name, source if symbol.bind == STB_LOCAL else "")
        return None

    def _is_variable(self, symbol: Symbol) -> bool:
        sections = self.subject.image.sections
        if symbol.shndx >= len(sections):
            return False
        section = sections[symbol.shndx]
        is_writable = section.flags & SHF_WRITE and section.name.startswith((".data", ".bss"))
        return bool(is_writable) and "..percpu" not in section.name

    def _named(self, kind: int) -> Iterator[Symbol]:
        for symbol in self.subject.image.symbols:
            if symbol.type == kind and _IDENTIFIER.fullmatch(symbol.name):
                yield symbol

    def _marks(self) -> list[tuple[str, str]]:
        """Of the file and of what is loaded: the build id, the digest of the sources."""
        running = self.running
        own = next(iter(self.subject.image.modinfo_values("srcversion")), "")
        return [
            (self.subject.build_id, running.build_id if running else ""),
            (own, running.srcversion if running else ""),
        ]


def find_loaded_file(name: str, running: RunningModule | None, finder: Finder, release: str) -> LoadedFile | None:
    """The file of module `name` for kernel `release`: the one that is loaded, else the first; None without one.

    Raises `KbuildError` if no file can be read.
    """
    first: LoadedFile | None = None
    damaged: KbuildError | None = None
    for path in finder.candidates(name, release):
        try:
            found = LoadedFile(read_subject(path, root=finder.root), running)
        except KbuildError as error:
            damaged = damaged or error
            continue
        if found.is_same_build:
            return found
        first = first or found
    if first is None and damaged is not None:
        raise damaged
    return first


def _compression(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return compression_of(stream.read(64))
    except OSError:
        return ""

# SPDX-License-Identifier: GPL-2.0-only
"""A file that a log is decoded with: a module, or the kernel itself."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.debug.code_symbols import CodeSymbol, CodeSymbols, read_symbols
from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.debug.find_debug_file import build_id_of, find_debug_file
from kbuildpy.elf import ModuleImage, Section
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import read_module
from kbuildpy.kernel.module_identity import built_for, own_name
from kbuildpy.source_place import Place


@dataclass(frozen=True)
class Subject:
    """A module, or the kernel (`module` is ""), with what is known of it."""

    module: str
    file: Path
    image: ModuleImage
    root: Path = Path("/")
    """The system's root directory, below which separate debug information is looked for."""
    debug_folders: tuple[Path, ...] = ()
    """More folders with debug information by build id."""

    @cached_property
    def release(self) -> str:
        """The release that a module was built for; "" if its vermagic names none."""
        return built_for(self.image)

    @cached_property
    def build_id(self) -> str:
        """In hexadecimal, "" for none."""
        return build_id_of(self.image)

    @cached_property
    def symbols(self) -> CodeSymbols:
        """Its functions."""
        return read_symbols(self.image)

    @cached_property
    def debug(self) -> DebugInfo | None:
        """Its debug information, also from a file of its own; None if there is none."""
        own = DebugInfo(self.image)
        if own.is_there:
            return own
        separate = find_debug_file(self.image, self.file, root=self.root, folders=self.debug_folders)
        return DebugInfo(separate) if separate else None

    def places(self, symbol: CodeSymbol, offset: int) -> tuple[Place, ...]:
        """The place of the code at `offset` of `symbol`, and those of the calls that it is inlined by."""
        section = self._in_debug_file(symbol.section)
        return self.debug.places(section, symbol.offset + offset) if self.debug and section else ()

    def source_roots(self) -> list[str]:
        """The folders from which paths of its sources are told, as far as places were asked for: a source file below
        the directory of its compilation is told from there; others from the folder that they share."""
        roots, folders = [], []
        for directory, name in self.debug.sources() if self.debug else ():
            if name.endswith((".mod.c", "module-common.c")):
                continue
            if posixpath.isabs(name):
                folders.append(posixpath.dirname(posixpath.normpath(name)))
            elif posixpath.isabs(directory):
                roots.append(posixpath.normpath(directory))
        if folders:
            roots.insert(0, posixpath.commonpath(folders))
        return list(dict.fromkeys(roots))

    def _in_debug_file(self, section: Section) -> Section | None:
        """The section of the debug file that stands for `section`: it has the same number, where nothing was removed,
        else the same name."""
        assert self.debug is not None
        sections = self.debug.image.sections
        if section.index < len(sections):
            found = sections[section.index]
            if (found.name, found.size) == (section.name, section.size):
                return found
        named = [each for each in sections if each.name == section.name and each.size == section.size]
        return named[0] if len(named) == 1 else None


def read_subject(file: Path, *, root: Path = Path("/"), debug_folders: tuple[Path, ...] = ()) -> Subject:
    """The module in `file`, which may be compressed. Raises `KbuildError` for another file."""
    image = ModuleImage(read_module(file), str(file))
    if image.section(".modinfo") is None:
        raise KbuildError(f"{file}: not a kernel module (it has no .modinfo)", hint="name .ko files")
    return subject_of(image, file, root=root, debug_folders=debug_folders)


def subject_of(
    image: ModuleImage, file: Path, *, root: Path = Path("/"), debug_folders: tuple[Path, ...] = ()
) -> Subject:
    """The module `image`, which was read from `file`."""
    name = own_name(image, file.name)
    return Subject(name, file, image, root, debug_folders)


def read_vmlinux(file: Path, *, root: Path = Path("/")) -> Subject:
    """The kernel in `file`: its `vmlinux`, an ELF file with symbols. Raises `KbuildError` for another file."""
    image = ModuleImage(read_module(file), str(file))
    if not image.has_symtab:
        raise KbuildError(f"{file}: it has no symbols", hint="name the vmlinux of the build, or of a debug package")
    return Subject("", file, image, root)

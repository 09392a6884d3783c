# SPDX-License-Identifier: GPL-2.0-only
"""What modules of one build for one kernel were made from, as a value. Names of files are those of `places`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kbuildpy.kbuild.call_note import DeclaredKbuild

SOURCE, HEADER, MAKEFILE, OTHER, GENERATED = "source", "header", "makefile", "other", "generated"
"""Kinds of files of the module. OTHER: a rule of the Kbuild file may read it; GENERATED: such a rule wrote it."""
SYMVERS = "symvers"
"""The kind of a `Module.symvers` of other modules (KBUILD_EXTRA_SYMBOLS)."""
KERNEL_HEADER, KERNEL_FILE, FILE_OUTSIDE = "kernel header", "kernel tree", "file outside"
"""Kinds of other files."""
OWN_KINDS = (SOURCE, HEADER, MAKEFILE, OTHER)
"""The kinds of files that a rebuild takes out of the module directory."""


@dataclass(frozen=True)
class InputFile:
    """A file that a build read."""

    name: str
    kind: str
    sha256: str


@dataclass(frozen=True)
class PackageVersion:
    """A package of the distribution: that of a program, or one that a kernel tree came in."""

    name: str
    version: str
    architecture: str
    kind: str
    """The type of package URLs: `deb` or `rpm`."""
    distribution: str
    """Their namespace: `debian`."""

    @property
    def url(self) -> str:
        """Its package URL (purl)."""
        version = self.version.replace("+", "%2B").replace("~", "~").replace(":", "%3A")
        return f"pkg:{self.kind}/{self.distribution}/{self.name}@{version}?arch={self.architecture}"


@dataclass(frozen=True)
class UsedProgram:
    """A program that made or read a file of the build."""

    role: str
    """What it does: `compiler`, `assembler`, `linker`, `objtool`, ..."""
    command: str
    """The words by which it is called."""
    version: str
    """The first line of what it prints with --version; "" for a program that tells none."""
    sha256: str
    """Of the file that is executed."""
    package: PackageVersion | None
    """The package that has it; None for one that no package has."""


@dataclass(frozen=True)
class MadeObject:
    """An object, and what it was made from."""

    target: str
    """The object, below the output directory."""
    inputs: tuple[str, ...]
    """The names of the files that it was made from: the source first."""
    commands: tuple[str, ...]
    """The commands that made it, in their order, with the names of `places`."""


@dataclass(frozen=True)
class MadeModule:
    """A module of the build."""

    name: str
    """Its path below the output directory, without `.ko`."""
    file: str
    """The file that was named: this one, or a copy of it that may be signed or compressed."""
    sha256: str
    """Of that file."""
    unsigned_sha256: str
    """Of the module without its signature, not compressed."""
    objects: tuple[str, ...]
    """The targets of the objects that it was linked from, in the order of the link."""
    commands: tuple[str, ...]
    """The commands that linked it."""
    modinfo: tuple[tuple[str, str], ...] = ()
    """The fields of its `.modinfo`."""


@dataclass(frozen=True)
class BuildRecord:
    """What modules were made from."""

    directory: str
    """The module directory: debug information names it."""
    source: str
    """The source part of the kernel tree."""
    objects: str
    """Its object part."""
    release: str
    """Its release."""
    kernel_packages: tuple[PackageVersion, ...]
    """The packages that the kernel tree came in; none for one that was built here."""
    variables: Mapping[str, str]
    """The variables that make gets."""
    environment: Mapping[str, str]
    """Those of the environment that the build may depend on."""
    declared: tuple[DeclaredKbuild, ...]
    """The Kbuild files of modules that an SConstruct declares."""
    kbuildpy: str
    """The version of kbuildpy that built."""
    files: tuple[InputFile, ...]
    """All files that were read, sorted by name."""
    programs: tuple[UsedProgram, ...]
    made: tuple[MadeObject, ...]
    modules: tuple[MadeModule, ...]

    @property
    def commands(self) -> list[str]:
        """The commands of all objects and modules."""
        made = [text for item in self.made for text in item.commands]
        return made + [text for item in self.modules for text in item.commands]

    @property
    def kernel_digest(self) -> str:
        """One digest over the names and contents of all files of the kernel tree that were read."""
        found = hashlib.sha256()
        for file in self.files:
            if file.kind in (KERNEL_HEADER, KERNEL_FILE):
                found.update(f"{file.name} {file.sha256}\n".encode(errors="surrogateescape"))
        return found.hexdigest()

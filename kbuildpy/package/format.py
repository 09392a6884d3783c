# SPDX-License-Identifier: GPL-2.0-only
"""What a format of packages can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.package.module_package import ModulePackage


@dataclass(frozen=True)
class BuildPlace:
    """Where a format works."""

    scratch: Path
    """A new directory, thrown away afterwards."""
    environ: Mapping[str, str]
    """For the tools that it calls."""


@dataclass(frozen=True)
class BuiltFiles:
    """What a format made."""

    main: Path
    """The package."""
    beside: tuple[Path, ...] = ()
    """Files that belong to it, such as a root hash."""


@dataclass(frozen=True)
class PackageFormat:
    """A format of packages."""

    name: str
    """The word of the command line."""
    file_name: Callable[[ModulePackage], str]
    """What the package is called."""
    check: Callable[[ModulePackage], None]
    """Raises `UsageError` where a fact is missing that the format needs."""
    build: Callable[[ModulePackage, BuildPlace], BuiltFiles]
    """Makes the package in a folder of its own below `scratch`. Raises `KbuildError`."""
    modules_in: Callable[[ModulePackage, Path, BuildPlace], dict[str, bytes]]
    """The module files in a finished package, by their places below lib/modules/RELEASE, as another tool than the
    kernel would find them. Raises `KbuildError`."""
    beside: Callable[[ModulePackage], tuple[str, ...]] = lambda package: ()
    """The names of files that belong to the package, such as a root hash."""


def names_of_files(format: PackageFormat, package: ModulePackage) -> list[str]:
    """The names of all files that `format` makes of `package`, the package first. Its modules are not looked at."""
    return [format.file_name(package), *format.beside(package)]


def no_check(package: ModulePackage) -> None:
    """For a format that needs nothing besides what each package has."""


def below_modules(files: Mapping[str, bytes], package: ModulePackage, root: str) -> dict[str, bytes]:
    """Those of `files` that are modules of the package's kernel, by their places."""
    prefix = f"{root}/lib/modules/{package.release}/".lstrip("/")
    found = {}
    for path, contents in files.items():
        name = path.removeprefix("./").lstrip("/")
        if name.startswith(prefix) and ".ko" in name.rpartition("/")[2]:
            found[name.removeprefix(prefix)] = contents
    return found

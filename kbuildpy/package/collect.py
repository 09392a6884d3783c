# SPDX-License-Identifier: GPL-2.0-only
"""Turns module files into a package: each is read once, so what is checked is what is packed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.report import inspect
from kbuildpy.install.modules import BuiltModule, modules_below, modules_of_build
from kbuildpy.kernel.instrumented import refuse_instrumented
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, no_modules_below, read_packed, unpacked
from kbuildpy.package.machine_names import machine_of
from kbuildpy.package.module_package import UPDATES, ModulePackage, PackagedModule
from kbuildpy.package.package_names import (
    check_place,
    check_release,
    maintainer,
    package_date,
    package_name,
    package_version,
    text_line,
)
from kbuildpy.printable import printable

_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*\Z")
_SYMBOL = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$]*\Z")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+._-]*(/[A-Za-z0-9_][A-Za-z0-9+._-]*)*\Z")


@dataclass(frozen=True)
class PackageWish:
    """What a user says about a package; "" for what the modules tell."""

    name: str = ""
    version: str = ""
    maintainer: str = ""
    summary: str = ""
    folder: str = UPDATES
    """The folder of the modules below lib/modules/RELEASE."""
    depends: tuple[str, ...] = ()
    copyright: str = ""


def read_modules(paths: Sequence[Path], releases: Sequence[str], folder: str) -> list[PackagedModule]:
    """The modules that `paths` name, for packages of the kernels `releases`: files, and directories: of one that was
    built what is in build/RELEASE for each, else all modules below it (see `modules_below`).

    Raises `KbuildError` for a file that is no module, `UsageError` for a path that is not there.
    """
    if not _FOLDER.match(folder) or ".." in folder.split("/"):
        raise UsageError(
            f"{printable(folder)}: not a folder below a kernel's modules", hint="as updates, or extra/name"
        )
    found = []
    for path in paths:
        if path.is_dir():
            below = _below(path, releases)
            if not below:
                raise no_modules_below([path])
            found += [_read(module, folder, is_named=False) for module in below]
        elif path.is_file():
            found.append(_read(BuiltModule(path, path.name), folder, is_named=True))
        else:
            what = "neither a file nor a directory" if path.exists() else "no such file or directory"
            raise UsageError(f"{path}: {what}")
    return found


def modules_of_kernels(modules: Sequence[PackagedModule], releases: Sequence[str]) -> dict[str, list[PackagedModule]]:
    """The modules of the package for each of `releases`. With one of them, a file that was named belongs into its
    package in any case, to be refused there if it is for another kernel; with several, kernels without modules are left
    out. What is found in a directory is left out if it is for none of them.

    Raises `KbuildError` where nothing is left, or nothing of a file that was named, and `UsageError` where two modules
    have one name.
    """
    alone = len(releases) == 1
    found = {
        release: [module for module in modules if module.info.built_for == release or (alone and module.is_named)]
        for release in releases
    }
    others = [module for module in modules if module.info.built_for not in releases]
    if not any(found.values()) or (not alone and any(module.is_named for module in others)):
        module = next((module for module in others if module.is_named), others[0])
        built = f"built for {printable(module.info.built_for)}" if module.info.built_for else "built for no kernel"
        raise KbuildError(
            f"{module.source}: {built}, and not for {', '.join(releases)}",
            hint="build it for this kernel: kbuildpy build; or name its kernel with -k",
        )
    return {release: _sorted(chosen) for release, chosen in found.items() if chosen}


def _sorted(modules: Sequence[PackagedModule]) -> list[PackagedModule]:
    taken: dict[str, PackagedModule] = {}
    for module in modules:
        for what in (f"the module {module.name}", f"the file {module.place}"):
            other = taken.setdefault(what, module)
            if other is not module:
                raise UsageError(
                    f"{other.source} and {module.source} are both {printable(what)}",
                    hint="name one of them, or the folder with the right ones",
                )
    return sorted(modules, key=lambda module: module.place)


def make_package(
    modules: Sequence[PackagedModule], release: str, wish: PackageWish, environ: Mapping[str, str]
) -> ModulePackage:
    """The package of `modules` for the kernel `release`. Raises `UsageError` for names that not all formats can have,
    and for what is not known of it."""
    machines = {module.machine for module in modules}
    if len(machines) > 1:
        names = ", ".join(sorted(machine.name for machine in machines))
        raise UsageError(f"the modules are for several machines: {names}", hint="make a package for each")
    stated = [text_line(value) for module in modules for value in module.info.values("version")[:1]]
    authors = [value for module in modules for value in module.info.values("author")]
    descriptions = [value for module in modules for value in module.info.values("description")[:1]]
    name = package_name(wish.name, [module.name for module in modules])
    newest = max(int(module.source.stat().st_mtime) for module in modules)
    return ModulePackage(
        name,
        package_version(wish.version, stated),
        check_release(release),
        next(iter(machines)),
        tuple(modules),
        package_date(environ, newest),
        maintainer(wish.maintainer, authors, environ),
        text_line(wish.summary or (descriptions[0] if len(modules) == 1 and descriptions else ""))
        or f"{name} kernel modules",
        tuple(map(text_line, wish.depends)),
        wish.copyright,
    )


def _read(module: BuiltModule, folder: str, *, is_named: bool) -> PackagedModule:
    path, name = module.source, module.name.lstrip("./")
    if not name.endswith(MODULE_SUFFIXES):
        raise UsageError(f"{path}: not named like a module", hint=f"names end in {', '.join(MODULE_SUFFIXES)}")
    place = check_place(f"{folder}/{name}")
    contents = read_packed(path)
    plain = unpacked(contents, path)
    image = ModuleImage(plain, str(path))
    refuse_instrumented(plain, path, doing="packaged")
    if not image.modinfo:
        raise KbuildError(f"{path}: not a kernel module (no .modinfo)", hint="name a .ko file, not an object")
    info = inspect(plain, str(path), None)
    found = PackagedModule(path, place, contents, plain, info, machine_of(image.header, path), is_named)
    _check_words(found)
    return found


def _check_words(module: PackagedModule) -> None:
    """Raises `KbuildError` for a name that a module states and that is none: names go into shell scripts, spec files
    and lines of modprobe.d."""
    needs = module.info.needs
    symbols = [item.name for item in module.info.exports] + [item.name for item in module.info.imports]
    for what, pattern, words in (
        ("a module", _MODULE, (module.name, *needs.modules, *needs.before, *needs.after)),
        ("a symbol", _SYMBOL, symbols),
    ):
        wrong = next((word for word in words if not pattern.match(word)), None)
        if wrong is not None:
            raise KbuildError(
                f"{module.source}: it states {printable(wrong)!r} as the name of {what}",
                hint="the file is damaged, or made to get something into a package's scripts",
            )


def _below(directory: Path, releases: Sequence[str]) -> list[BuiltModule]:
    """The modules of a directory: those of its build, else all files."""
    built = [directory / "build" / release for release in releases]
    found = [folder for folder in built if (folder / "modules.order").is_file()]
    if found:
        return [module for folder in found for module in modules_of_build(directory.resolve(), folder)]
    return modules_below(directory, releases, suffixes=MODULE_SUFFIXES)

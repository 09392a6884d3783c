# SPDX-License-Identifier: GPL-2.0-only
"""Finds the modules to install, and refuses those that the kernel would not load."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.instrumented import refuse_instrumented
from kbuildpy.kernel.module_files import walk_modules
from kbuildpy.kernel.module_identity import built_for


@dataclass(frozen=True)
class BuiltModule:
    """A module file to install, and its `name`: the path below INSTALL_MOD_DIR, with `.ko`."""

    source: Path
    name: str


class NotBuilt(KbuildError):
    """Nothing was built for that kernel."""


def modules_of_build(directory: Path, out: Path) -> list[BuiltModule]:
    """What was built of the module directory `directory` in `out`, in the order of its modules.order.

    Raises `NotBuilt` when nothing was, `KbuildError` when not everything is there that modules.order names.
    """
    order = out / "modules.order"
    hint = f"build first: kbuildpy build {directory} -k {out.name}"
    try:
        lines = order.read_text(errors="surrogateescape").split()
    except OSError as error:
        raise NotBuilt(
            f"{directory}: no modules were built for {out.name} ({order}: {error.strerror})", hint=hint
        ) from error
    # Up to 6.12 modules are named by their whole path, and up to 6.2 as .ko files (scripts/Makefile.build).
    stems = [posixpath.splitext(line.removeprefix(f"{directory}/"))[0] for line in lines]
    # (Path.with_suffix() raises ValueError for `/`, which a damaged file may have)
    names = [str(Path(f"{stem}.ko")) for stem in stems]
    if not names:
        raise KbuildError(f"{directory}: the Kbuild file names no modules (obj-m is empty)", hint="nothing to install")
    modules = [BuiltModule(out / _built_as(name), name) for name in dict.fromkeys(names)]
    missing = [module for module in modules if Path(module.name).is_absolute() or not module.source.is_file()]
    if missing:
        raise KbuildError(f"{missing[0].source}: missing, but {order} names it", hint=hint)
    return modules


def _built_as(name: str) -> str:
    """Where the module `name` is below the output: what lies outside of the module directory is folded in there
    (kbuildpy/kbuild/layout.py), so no name leads out."""
    path = posixpath.normpath(name)
    return path.replace("../", "_up/") if path.startswith("../") else path


_MADE_OF_MODULES = ("signed", "packages", ".kbuildpy")
"""The folders in an output folder that have modules which were made of the built ones, or copies."""


def modules_below(directory: Path, releases: Sequence[str], *, suffixes: tuple[str, ...]) -> list[BuiltModule]:
    """The module files below `directory`, by their paths in it. A folder of it called like one of `releases` that is
    the output of a build gives what was built there, by the paths in that folder."""
    outputs = [release for release in releases if (directory / release / "modules.order").is_file()]
    found = []
    for place, without in (
        *((directory / release, _MADE_OF_MODULES) for release in outputs),
        (directory, _MADE_OF_MODULES if (directory / "modules.order").is_file() else (".kbuildpy", *outputs)),
    ):
        paths = map(Path, walk_modules(place, suffixes=suffixes, without=without))
        found += [BuiltModule(path, str(path.relative_to(place))) for path in paths]
    return found


def modules_for(directory: Path, release: str) -> list[BuiltModule]:
    """Those of `modules_below`, not compressed, that were built for `release`."""
    found = modules_below(directory, [release], suffixes=(".ko",))
    return [
        module
        for module in sorted(found, key=lambda module: module.source)
        if module.source.is_file() and built_release(module.source) == release
    ]


def module_files(files: Iterable[Path]) -> list[BuiltModule]:
    """Modules that were named one by one."""
    return [BuiltModule(path, path.name) for path in files]


def check_modules(modules: Sequence[BuiltModule], release: str) -> None:
    """Refuse, before anything is installed, two modules of one place (`UsageError`), and a file that is no module or
    one of another release than `release` (`KbuildError`)."""
    places: dict[str, BuiltModule] = {}
    for module in modules:
        other = places.setdefault(module.name, module)
        if other is not module:
            raise UsageError(f"{other.source} and {module.source} would both be installed as {module.name}")
    for module in modules:
        check_release(module.source, release)


def built_release(module: Path) -> str:
    """The release that a module was built for, as its vermagic says; "" if it names none. Raises `KbuildError` for a
    file that is no module."""
    return built_for(ModuleImage.from_path(module))


def check_release(module: Path, release: str) -> None:
    """Refuse a file that is no module, or one of another release (`KbuildError`), as the kernel would
    (kernel/module/main.c: check_modinfo); and an instrumented module."""
    image = ModuleImage.from_path(module)
    refuse_instrumented(image.contents, module, doing="installed")
    built = built_for(image)
    if not built:
        raise KbuildError(
            f"{module}: not a kernel module (no release in its vermagic)",
            hint="name a .ko file, not an object",
        )
    if built != release:
        raise KbuildError(
            f"{module}: built for {built}, so {release} would not load it",
            hint=f"install it with -k {shlex.quote(built)}, or build it for {release}",
        )

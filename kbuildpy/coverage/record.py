# SPDX-License-Identifier: GPL-2.0-only
"""The record of an instrumented build, which `kbuildpy run` finds beside its modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.own_paths import foreign_entry, found_foreign

GUEST = "kbuildpy_guest"
"""The name of the module that watches instrumented ones."""
_NAME = ".kbuildpy/instrumented.json"


@dataclass(frozen=True)
class InstrumentedBuild:
    """An instrumented build."""

    out: Path
    """Its output directory: notes of counters lie there, beside the objects."""
    directory: Path
    """The module directory."""
    gcov: str
    """The program of the compiler that reads counters."""
    trees: tuple[Path, ...]
    """Directories of the kernel tree: what is in them is no source of a module's."""
    guest: Path
    """The module that watches."""


def write_record(build: InstrumentedBuild) -> None:
    """Keep what is known of `build` in its output directory. Raises `KbuildError` if that cannot be written."""
    value = {
        "directory": str(build.directory),
        "gcov": build.gcov,
        "trees": [str(path) for path in build.trees],
        "guest": str(build.guest),
    }
    path = build.out / _NAME
    if read_json(path) != value and not write_json(path, value):
        raise KbuildError(f"{path}: cannot be written", hint="name an output directory that you can write")


def build_of(module: Path) -> InstrumentedBuild:
    """The instrumented build that made the file `module`.

    Its gcov will be run, so a record that another user may change is refused. Raises `UsageError` if the build is not
    there any more, `KbuildError` for a record that is not this user's own.
    """
    place = module.resolve()
    for out in place.parents:
        path = out / _NAME
        if path.is_file():
            foreign = found_foreign(path.parent) or foreign_entry(path.parent)
            if foreign:
                raise KbuildError(
                    f"{path}: not used: {foreign}",
                    hint="it names a program to run, so no other user may change it: build again as this user, in a "
                    "directory of your own",
                )
            return _read(path, out)
    raise UsageError(
        f"{module}: its build directory is not there: counters are told by the notes beside the objects",
        hint="name the file where `kbuildpy build --coverage` made it",
    )


def _read(path: Path, out: Path) -> InstrumentedBuild:
    try:
        value = read_json(path)
        return InstrumentedBuild(
            out=out,
            directory=Path(str(value["directory"])),
            gcov=str(value["gcov"]),
            trees=tuple(Path(str(name)) for name in value["trees"]),
            guest=Path(str(value["guest"])),
        )
    except (KeyError, TypeError) as error:
        raise KbuildError(f"{path}: damaged", hint="build again with --coverage") from error

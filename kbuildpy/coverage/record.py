# SPDX-License-Identifier: GPL-2.0-only
"""The record of an instrumented build, which `kbuildpy run` finds beside its modules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import replacing

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
    """Keep what is known of `build` in its output directory."""
    value = {
        "directory": str(build.directory),
        "gcov": build.gcov,
        "trees": [str(path) for path in build.trees],
        "guest": str(build.guest),
    }
    path = build.out / _NAME
    text = json.dumps(value, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(errors="replace") != text:
        with replacing(path) as slot:
            slot.write(text.encode(), durable=False)


def build_of(module: Path) -> InstrumentedBuild:
    """The instrumented build that made the file `module`. Raises `UsageError` if it is not there any more."""
    place = module.resolve()
    for out in place.parents:
        path = out / _NAME
        if path.is_file():
            return _read(path, out)
    raise UsageError(
        f"{module}: its build directory is not there: counters are told by the notes beside the objects",
        hint="name the file where `kbuildpy build --coverage` made it",
    )


def _read(path: Path, out: Path) -> InstrumentedBuild:
    try:
        value = json.loads(path.read_text())
        return InstrumentedBuild(
            out=out,
            directory=Path(str(value["directory"])),
            gcov=str(value["gcov"]),
            trees=tuple(Path(str(name)) for name in value["trees"]),
            guest=Path(str(value["guest"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KbuildError(f"{path}: damaged", hint="build again with --coverage") from error

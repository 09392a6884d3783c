# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the makefiles in `mk/` print: records, environments, and make's errors.

A record is a block of `KEY VALUE` lines that ends with the line `end` (`mk/record.mk`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from kbuildpy.errors import KbuildError

# The folder of kbuildpy's own makefiles, which are installed beside this file.
MAKEFILES = Path(__file__).resolve().parent / "mk"


class Makefiles(NamedTuple):
    """The makefiles that make is started with: those in `mk/`, or extended copies (`kbuildpy.origins`)."""

    folder: Path = MAKEFILES
    """The folder of `tree.mk` and `directory.mk`."""
    environment: Mapping[str, str] = MappingProxyType({})
    """Additional environment variables that they need."""


OURS = Makefiles()


def read_records(text: str) -> Iterator[dict[str, str]]:
    """Each record of `text` as a dictionary; a key without a value has the value ""."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        if line == "end":
            yield record
            record = {}
        else:
            key, _, value = line.partition(" ")
            record[key] = value.strip()


def environment_difference(before: Mapping[str, str], exported: bytes) -> dict[str, str | None]:
    """The variables that make changed in the environment `before`: their values for recipes, None for a removed one.
    `exported` is the environment of a recipe, as `env -0` prints it."""
    after = dict(entry.split("=", 1) for entry in exported.decode(errors="surrogateescape").split("\0") if "=" in entry)
    skip = {"_", "PWD", "OLDPWD", "SHLVL", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"}
    changed: dict[str, str | None] = {
        name: value
        for name, value in after.items()
        if name not in skip and not name.startswith("KBUILDPY_") and before.get(name) != value
    }
    changed.update({name: None for name in before if name not in after and name not in skip})
    return {name: value for name, value in changed.items() if not name.startswith("KBUILDPY_")}


def make_failed(what: str, stderr: str, *, hint: str = "") -> KbuildError:
    """The error for a make that failed: `what`, and make's own message, which has file and line."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return KbuildError(f"{what}:\n" + "\n".join(lines) if lines else what, hint=hint)

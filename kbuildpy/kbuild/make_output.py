# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the makefiles in `mk/` print: records, environments, and the errors of make itself.

A record is a block of `KEY VALUE` lines that ends with the line `end` (`mk/record.mk`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from kbuildpy.errors import KbuildError

# Where the makefiles of ours are (they ship beside this file).
MAKEFILES = Path(__file__).resolve().parent / "mk"


class Makefiles(NamedTuple):
    """The makefiles of ours that make is started with: themselves, or copies that do more (`kbuildpy.origins`)."""

    folder: Path = MAKEFILES
    """The folder of `tree.mk` and `directory.mk`."""
    environment: Mapping[str, str] = MappingProxyType({})
    """What they need in the environment besides."""


OURS = Makefiles()


def read_records(text: str) -> Iterator[dict[str, str]]:
    """Each block as a dictionary; a key that stands alone has an empty value."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        if line == "end":
            yield record
            record = {}
        else:
            key, _, value = line.partition(" ")
            record[key] = value.strip()


def environment_difference(before: Mapping[str, str], exported: bytes) -> dict[str, str | None]:
    """What make changed in the environment `before`; a recipe's `env -0` printed `exported` (None: taken away)."""
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
    """The error for a make that failed: its own message (with file and line) is the news."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return KbuildError(f"{what}:\n" + "\n".join(lines) if lines else what, hint=hint)

# SPDX-License-Identifier: GPL-2.0-only
"""Reads a file of probes, `probes.toml`: a table for each probe, named like its macro, with the keywords of
`env.KernelProbe()`.

    includes = ["linux/fs.h"]

    [HAVE_IOPOLL]
    member = "struct file_operations.iopoll"

`includes` on top are for every probe of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import read_limited
from kbuildpy.printable import printable
from kbuildpy.probes.probe import KINDS, Probe, make_probe
from kbuildpy.similar import did_you_mean
from kbuildpy.toml_text import parse_toml

_LARGEST = 1 << 20
_KEYS = (*KINDS, "includes", "outside", "strict", "alone", "gpl_only")


def read_probes(path: Path) -> list[Probe]:
    """The probes of the file `path`, in its order.

    Raises `KbuildError` for a file that is not TOML, and for a table that is no probe, with its line.
    """
    try:
        text = read_limited(path, _LARGEST).decode()
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KbuildError(f"{path}: not UTF-8, as TOML is") from error
    tables = parse_toml(path, text)
    common = tables.pop("includes", [])
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {printable(name)} is not a table", hint="a probe is a table: [HAVE_X]")
    return [_probe(name, table, common, place=f"{path}:{_line(text, name)}") for name, table in tables.items()]


def _probe(name: str, table: Mapping[str, Any], common: Any, *, place: str) -> Probe:
    for key in table:
        if key not in _KEYS:
            meant = did_you_mean(key, _KEYS)
            raise UsageError(
                f"{place}: {printable(name)}: there is no key {printable(key)}{f'; {meant}' if meant else ''}",
                hint=f"the keys are {', '.join(_KEYS)}",
            )
    return checked_probe(name, table, place=place, common=common)


def checked_probe(name: str, table: Mapping[str, Any], *, place: str, common: Any = ()) -> Probe:
    """The probe `name` with the keywords `table` (`_KEYS`), which may be of any type; `common` are headers that it
    includes before its own. Raises `UsageError`."""
    where = f"{place}: {printable(name)}" if place else printable(name)
    for key, value in table.items():
        is_flag = key in ("strict", "alone", "gpl_only")
        if key != "includes" and not isinstance(value, bool if is_flag else str):
            wanted = "neither true nor false" if is_flag else "not a string"
            raise UsageError(f"{where}: {key}={value!r} is {wanted}")
    includes = [*_names(where, common), *_names(where, table.get("includes", ()))]
    return make_probe(
        name,
        {kind: table[kind] for kind in KINDS if kind in table},
        place=place,
        includes=tuple(dict.fromkeys(includes)),
        outside=table.get("outside", ""),
        strict=table.get("strict", False),
        alone=table.get("alone", False),
        gpl_only=table.get("gpl_only", False),
    )


def _names(where: str, value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{where}: includes={value!r} are not names of headers", hint='such as ["linux/fs.h"]')
    return list(items)


def _line(text: str, name: str) -> int:
    """The line of the table `name`; 1 where it is written in a way that is not looked for."""
    match = re.search(rf"""^[ \t]*(?:\[[ \t]*)?["']?{re.escape(name)}["']?[ \t]*[].=]""", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else 1

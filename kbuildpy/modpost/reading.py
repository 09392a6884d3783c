# SPDX-License-Identifier: GPL-2.0-only
"""`Reading`: the options and the state that are shared while all modules of one run are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from kbuildpy.modpost.aliases import Layouts
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import KnownExports
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.srcversion import SourceReader
from kbuildpy.modpost.versions import Dialect


@dataclass
class Mismatches:
    """What modpost remembers about section mismatches from one module to the next."""

    count: int = 0
    """The number of mismatches in all modules (modpost.c: sec_mismatch_count)."""
    extable_entry_size: int = 0
    """The size of an entry of `__ex_table` in bytes; 0 until it is known (before 6.0)."""


@dataclass(frozen=True)
class Reading:
    """The options for reading modules, and the tables and counters that each module adds to."""

    options: ModpostOptions
    dialect: Dialect
    exports: KnownExports
    """The table to which the exports of each module are added."""
    sources: SourceReader
    """Reads the sources for srcversions."""
    layouts: Layouts
    """Returns the layouts of the device-id structs; called for the first device table."""
    log: Log
    mismatches: Mismatches = field(default_factory=Mismatches)

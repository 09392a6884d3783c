# SPDX-License-Identifier: GPL-2.0-only
"""The state that the reading of all modules of one run shares."""

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
    """The state of section mismatches across modules."""

    count: int = 0
    """The number of mismatches."""
    extable_entry_size: int = 0
    """The size of an entry of `__ex_table`, 0 until it is known (before 6.0)."""


@dataclass(frozen=True)
class Reading:
    """How modules are read, and where what they have in common is collected."""

    options: ModpostOptions
    dialect: Dialect
    exports: KnownExports
    """Gets the exports of each module."""
    sources: SourceReader
    layouts: Layouts
    """Asks for the device-id structs; called when the first device table turns up."""
    log: Log
    mismatches: Mismatches = field(default_factory=Mismatches)

# SPDX-License-Identifier: GPL-2.0-only
"""What the stages of the walk over a module's sections share (scripts/mod/modpost.c: check_sec_ref)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from kbuildpy.elf import ModuleImage, Section
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import ExportedSymbol, KnownExports, Owner
from kbuildpy.modpost.nearest import NearestSymbols
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.reading import Mismatches
from kbuildpy.modpost.versions import Dialect


@dataclass
class Walk:
    """One module's walk; `found` are the exports, in the order of their requests.

    `export_section` is what relocations must apply to in order to be requests for exports: `.export_symbol`,
    or the empty section 0 in a module without it, as modpost has it.
    """

    image: ModuleImage
    owner: Owner
    options: ModpostOptions
    dialect: Dialect
    exports: KnownExports
    log: Log
    mismatches: Mismatches
    export_section: Section | None
    found: list[ExportedSymbol] = field(default_factory=list)
    checks_of: dict[str, tuple[int, ...]] = field(default_factory=dict)
    targets_of: dict[tuple[int, ...], frozenset[int]] = field(default_factory=dict)

    @cached_property
    def nearest(self) -> NearestSymbols:
        """Searches for symbols by address."""
        return NearestSymbols(self.image, self.dialect)

# SPDX-License-Identifier: GPL-2.0-only
"""`Walk`: the state that the checks of a module's sections share (scripts/mod/modpost.c: check_sec_ref)."""

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
    """The walk over the sections of one module."""

    image: ModuleImage
    owner: Owner
    """The module."""
    options: ModpostOptions
    dialect: Dialect
    exports: KnownExports
    """The table to which exports are added."""
    log: Log
    mismatches: Mismatches
    export_section: Section | None
    """The section whose relocations are exports: `.export_symbol`, or in a module without it the empty section 0, as in
    modpost. None if exports are not read from sections."""
    found: list[ExportedSymbol] = field(default_factory=list)
    """The exports of the module, in the order of the relocations."""
    checks_of: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By name of a section: the numbers of the checks for references from it."""
    targets_of: dict[tuple[int, ...], frozenset[int]] = field(default_factory=dict)
    """By numbers of checks: the numbers of the symbols that they forbid to refer to."""

    @cached_property
    def nearest(self) -> NearestSymbols:
        """Finds symbols by address."""
        return NearestSymbols(self.image, self.dialect)

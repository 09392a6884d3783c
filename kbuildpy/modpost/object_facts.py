# SPDX-License-Identifier: GPL-2.0-only
"""The facts about a module that reading its object finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.modpost.exports import ExportedSymbol, Owner


class Unresolved(NamedTuple):
    """A symbol that the module needs."""

    name: str
    weak: bool
    """It may be missing."""


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """One module object, as far as it goes into a `.mod.c` and into `Module.symvers`."""

    owner: Owner
    exports: tuple[ExportedSymbol, ...]
    unresolved: tuple[Unresolved, ...]
    """In the order in which modpost looks for them."""
    imported_namespaces: tuple[str, ...]
    """The values of `import_ns` in its modinfo."""
    gpl_compatible: bool
    """All its licenses are; it may use GPL-only symbols."""
    has_init: bool
    has_cleanup: bool
    aliases: tuple[str, ...]
    """Of its device tables."""
    srcversion: str
    """"" where none is asked for."""
    no_trim: tuple[str, ...] = ()
    """Exports of any module that -t must not drop (`.no_trim_symbol`)."""

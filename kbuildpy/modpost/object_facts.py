# SPDX-License-Identifier: GPL-2.0-only
"""`ObjectFacts`: what modpost reads from a module object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.modpost.exports import ExportedSymbol, Owner


class Unresolved(NamedTuple):
    """An undefined symbol of a module."""

    name: str
    weak: bool
    """The symbol is weak: no module need export it."""


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """The facts about a module object that its `.mod.c` and `Module.symvers` depend on."""

    owner: Owner
    """The module."""
    exports: tuple[ExportedSymbol, ...]
    """The symbols that it exports."""
    unresolved: tuple[Unresolved, ...]
    """Its undefined symbols, in the order in which modpost looks for them."""
    imported_namespaces: tuple[str, ...]
    """The values of `import_ns` in its modinfo."""
    gpl_compatible: bool
    """All its licenses are compatible with the GPL: it may use GPL-only symbols."""
    has_init: bool
    """It defines `init_module`."""
    has_cleanup: bool
    """It defines `cleanup_module`."""
    aliases: tuple[str, ...]
    """The aliases of its device tables."""
    srcversion: str
    """Its srcversion; "" if the options and its modinfo ask for none."""
    no_trim: tuple[str, ...] = ()
    """Exports, also of other modules, that -t must not drop (`.no_trim_symbol`)."""

# SPDX-License-Identifier: GPL-2.0-only
"""What a preflight finds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.loader.verdict import Verdict

FINE = ("shipped", "built-in", "installed", "loads", "builds")
"""States of modules that work in the other kernel."""

STATES = {
    "shipped": "the other kernel comes with it",
    "built-in": "it is built into the other kernel",
    "installed": "it is installed for the other kernel, which accepts it",
    "loads": "the other kernel accepts the file",
    "builds": "it was built for the other kernel, which accepts it",
    "unbuildable": "its sources do not build for the other kernel",
    "copy": "the other kernel accepts this kernel's file, but it is not installed there",
    "rebuild": "it has to be built for the other kernel",
    "signature": "the other kernel does not accept its signature",
    "refused": "the file that is installed for the other kernel is refused",
    "impossible": "it cannot be built from the same sources: a symbol is gone, or closed to it",
    "needs": "it needs a module that the other kernel does not have",
    "missing": "the other kernel does not have it, and nothing here can be built for it",
    "unreadable": "its file cannot be read",
}


class Source(NamedTuple):
    """Sources of a module on this machine."""

    directory: Path
    dkms: str
    """`NAME/VERSION` in dkms's words."""


@dataclass(frozen=True)
class ModuleFinding:
    """What becomes of one module."""

    name: str
    state: str
    """A key of `STATES`."""
    loaded: bool
    """Whether it is loaded now."""
    file: str
    """The file that was judged; "" for none."""
    reason: str = ""
    hint: str = ""
    source: Source | None = None
    shadowed: tuple[str, ...] = ()
    """Several files of this name are installed for the other kernel: their paths, the one that modprobe takes first."""
    symbols: tuple[str, ...] = ()
    """The symbols that are gone, or closed to it by licence or namespace."""
    verdict: Verdict | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it would not work in the other kernel."""
        return self.state not in FINE


class SettingFinding(NamedTuple):
    """A line of a configuration file that names a module which the other kernel does not have."""

    file: str
    line: int
    text: str
    module: str
    is_lost: bool
    """Whether something would not be done (a module that is to be loaded), and not only have no effect."""


@dataclass(frozen=True)
class Preflight:
    """All of it."""

    old: str
    """The release of the present kernel."""
    new: str
    modules: tuple[ModuleFinding, ...]
    settings: tuple[SettingFinding, ...]
    enforces: str
    """Why the other kernel would refuse modules without a good signature; "" if it does not."""

    @property
    def is_fine(self) -> bool:
        """Whether nothing would be lost."""
        return not any(each.is_lost for each in self.modules) and not any(each.is_lost for each in self.settings)

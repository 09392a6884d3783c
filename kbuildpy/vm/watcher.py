# SPDX-License-Identifier: GPL-2.0-only
"""A module that watches others in the guest: it is loaded before all of them, stays, and is asked in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kbuildpy.vm.trial import Trial


@dataclass(frozen=True)
class Watcher:
    """The module, which tells what it saw in the file of `/proc` that has its name."""

    name: str
    contents: bytes
    """Its file."""
    take: Callable[[Sequence[str] | None], None]
    """Called after each boot with the lines of that file; with None when the guest did not get so far."""
    parameters: str = ""
    """As insmod takes them."""

    @property
    def path(self) -> str:
        """Where it is in the guest."""
        return f"watcher/{self.name}.ko"

    @property
    def words(self) -> str:
        """What the guest gives insmod."""
        return f"/{self.path} {self.parameters}".strip()


def without_watcher(trials: Sequence[Trial], watcher: Watcher) -> list[Trial]:
    """`trials`, for which `watcher` is as if it were built in."""
    return [replace(trial, needs=tuple(name for name in trial.needs if name != watcher.name)) for trial in trials]

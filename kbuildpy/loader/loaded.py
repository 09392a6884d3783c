# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a kernel has loaded: the list behind /proc/modules.

States are those of include/linux/module.h (enum module_state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class ModuleExport(NamedTuple):
    """A symbol that a loaded module exports; `crc` is None where the module has none for it."""

    crc: int | None
    gpl_only: bool
    namespace: str


@dataclass(frozen=True)
class Loaded:
    """One loaded module. `state` is "UNFORMED", "COMING", "LIVE" or "GOING"; `uses` names the modules that it holds,
    `references` counts those that hold it otherwise (open files); `size` in bytes as /proc/modules shows it; until
    init has returned, what is for init only (`init_size`) is there as well.

    `uses` has the owners of the symbols that were resolved when it was loaded. What a running module takes with
    symbol_get(), or holds with try_module_get(), is not known here; a weak symbol that was found counts like any other.
    """

    name: str
    state: str = "LIVE"
    size: int = 0
    taints: str = ""
    uses: tuple[str, ...] = ()
    references: int = 0
    init_size: int = 0
    exports: Mapping[str, ModuleExport] = field(default_factory=dict)
    has_init: bool = True
    has_exit: bool = True

    @property
    def shown_size(self) -> int:
        """The size in bytes that /proc/modules shows (kernel/module/procfs.c: module_total_size)."""
        return self.size + (self.init_size if self.state in ("UNFORMED", "COMING") else 0)

    @property
    def is_permanent(self) -> bool:
        """Whether it could be started and never be stopped."""
        return self.has_init and not self.has_exit


@dataclass(frozen=True)
class Modules:
    """All of them, the latest first, as the kernel's list has them; `refused` are names of modules that were tried
    before, and not loaded."""

    loaded: tuple[Loaded, ...] = ()
    refused: tuple[str, ...] = ()

    def find(self, name: str) -> Loaded | None:
        """The module called `name` (kernel/module/main.c: find_module_all)."""
        return next((module for module in self.loaded if module.name == name), None)

    def users_of(self, name: str) -> tuple[str, ...]:
        """The modules that use symbols of `name`, the latest first (`source_list` of struct module)."""
        return tuple(module.name for module in self.loaded if name in module.uses)

    def refcount(self, module: Loaded) -> int:
        """The reference count of `module` (module_refcount): its users, other holders, and one while it is loading; -1
        while it is unloading and not held."""
        holders = len(self.users_of(module.name)) + module.references
        if module.state == "GOING":
            return holders or -1
        return holders + (module.state in ("UNFORMED", "COMING"))

    def changed(self, name: str, *, state: str | None = None, references: int = 0) -> Modules:
        """The same with the module `name` in `state` (None: as it is), and with so many references more."""
        return replace(
            self,
            loaded=tuple(
                replace(module, state=state or module.state, references=module.references + references)
                if module.name == name
                else module
                for module in self.loaded
            ),
        )

    def without(self, name: str) -> Modules:
        """The same without the module `name`."""
        return replace(self, loaded=tuple(module for module in self.loaded if module.name != name))

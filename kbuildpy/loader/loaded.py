"""The modules that a kernel has loaded: the list behind /proc/modules.

States are those of include/linux/module.h (enum module_state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ModuleExport(NamedTuple):
    """A symbol that a loaded module exports; `crc` is None where the module brings none."""

    crc: int | None
    gpl_only: bool
    namespace: str


@dataclass(frozen=True)
class Loaded:
    """One loaded module. `state` is "UNFORMED", "COMING", "LIVE" or "GOING"; `uses` names the modules that it holds,
    `references` counts those that hold it otherwise (open files); `size` in bytes as /proc/modules shows it."""

    name: str
    state: str = "LIVE"
    size: int = 0
    taints: str = ""
    uses: tuple[str, ...] = ()
    references: int = 0
    exports: Mapping[str, ModuleExport] = field(default_factory=dict)
    has_init: bool = True
    has_exit: bool = True


@dataclass(frozen=True)
class Modules:
    """All of them, the latest first, as the kernel's list has them."""

    loaded: tuple[Loaded, ...] = ()

    def find(self, name: str) -> Loaded | None:
        """The module called `name` (kernel/module/main.c: find_module_all)."""
        return next((module for module in self.loaded if module.name == name), None)

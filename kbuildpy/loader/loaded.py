# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a kernel has loaded: the list behind /proc/modules.

States are those of include/linux/module.h (enum module_state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple


class ModuleExport(NamedTuple):
    """A symbol that a loaded module exports."""

    crc: int | None
    """The CRC of its prototype; None if the module has none for it."""
    gpl_only: bool
    """Whether it is for GPL-compatible modules only."""
    namespace: str
    """Its namespace; "" if it has none."""


@dataclass(frozen=True)
class Loaded:
    """One loaded module.

    References that a running module takes with symbol_get() or try_module_get() are not known.
    """

    name: str
    """The name."""
    state: str = "LIVE"
    """The state: "UNFORMED", "COMING", "LIVE" or "GOING"."""
    size: int = 0
    """Bytes in memory, without the init sections."""
    taints: str = ""
    """The letters of its taints, as /proc/modules shows them."""
    uses: tuple[str, ...] = ()
    """The modules that own the symbols that were resolved when it was loaded, including weak symbols."""
    references: int = 0
    """The number of references that no module holds, such as open files."""
    init_size: int = 0
    """Bytes of the init sections, which are in memory until the init function has returned."""
    exports: Mapping[str, ModuleExport] = field(default_factory=dict)
    """The symbols that it exports, by name."""
    has_init: bool = True
    """Whether it has an init function."""
    has_exit: bool = True
    """Whether it has an exit function."""

    @cached_property
    def digest(self) -> str:
        """A digest of all fields."""
        return _digest([(item.name, getattr(self, item.name)) for item in fields(self)])

    @property
    def shown_size(self) -> int:
        """The size in bytes that /proc/modules shows (kernel/module/procfs.c: module_total_size)."""
        return self.size + (self.init_size if self.state in ("UNFORMED", "COMING") else 0)

    @property
    def is_permanent(self) -> bool:
        """Whether it has an init function and no exit function, so that it can be unloaded by force only."""
        return self.has_init and not self.has_exit


@dataclass(frozen=True)
class Modules:
    """The list of loaded modules. The methods that change it return a new list."""

    loaded: tuple[Loaded, ...] = ()
    """The modules, the latest first, as in the kernel's list."""
    refused: tuple[str, ...] = ()
    """The names of modules that were refused before."""

    @cached_property
    def digest(self) -> str:
        """A digest of the list; "" if it is empty."""
        return _digest([[item.digest for item in self.loaded], self.refused]) if self.loaded or self.refused else ""

    def find(self, name: str) -> Loaded | None:
        """Return the module called `name`, None if it is not loaded (kernel/module/main.c: find_module_all)."""
        return next((module for module in self.loaded if module.name == name), None)

    def users_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the modules that use symbols of `name`, the latest first (`source_list` of struct
        module)."""
        return tuple(module.name for module in self.loaded if name in module.uses)

    def refcount(self, module: Loaded) -> int:
        """Return the reference count of `module` (module_refcount): the modules that use it, its `references`, and one
        more while it is loading. It is -1 while the module is unloading without references."""
        holders = len(self.users_of(module.name)) + module.references
        if module.state == "GOING":
            return holders or -1
        return holders + (module.state in ("UNFORMED", "COMING"))

    def changed(self, name: str, *, state: str | None = None, references: int = 0) -> Modules:
        """Return the list with the module `name` in `state` (None: unchanged), and `references` added to its
        references."""
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
        """Return the list without the module `name`."""
        return replace(self, loaded=tuple(module for module in self.loaded if module.name != name))


def _digest(value: object) -> str:
    return blake2b(repr(value).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

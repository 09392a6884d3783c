# SPDX-License-Identifier: GPL-2.0-only
"""What modprobe knows of one kernel of a system: its indexes, modprobe.d, and what it takes a name for.

Counterpart: kmod (libkmod/libkmod-module.c: kmod_module_new_from_lookup; libkmod/libkmod.c: kmod_lookup_alias_from_*).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from kbuildpy.kernel.binary_index import BinaryIndex, read_index
from kbuildpy.kernel.depmod_indexes import Softdeps
from kbuildpy.kernel.modprobe_config import (
    Directive,
    ModprobeConfig,
    read_modprobe_config,
    soft_dependencies,
)
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.kernel.shell_pattern import matches, with_underscores

INDEXES = ("dep", "symbols", "alias", "builtin", "builtin.alias")


class Target(NamedTuple):
    """What modprobe takes a name for."""

    name: str
    """The module's name."""
    alias: str | None = None
    """The alias that led to it, None for the module's own name; of an alias in modprobe.d the pattern there."""
    source: str = ""
    """Where it was found, for people."""
    built_in: bool | None = None
    """It was found in the list of what is built in; None where that was not asked."""
    directive: Directive | None = None
    """The line of modprobe.d that it comes from."""

    @property
    def key(self) -> tuple[str, str | None]:
        """Two targets with the same key are one to kmod."""
        return self.name, self.alias


class IndexedModule(NamedTuple):
    """What `modules.dep.bin` says of a module."""

    path: str
    """The path of its file in the system."""
    needs: tuple[str, ...]
    """The paths of the files of all modules that it needs, in the order of loading."""


@dataclass(frozen=True)
class Kmod:
    """The view of modprobe; methods raise `KbuildError` for an index that is damaged."""

    system: Rooted
    directory: str
    """`/lib/modules/RELEASE`, a path in the system."""
    config: ModprobeConfig

    def index(self, name: str) -> BinaryIndex | None:
        """The index `modules.NAME.bin`; None where depmod has not made it."""
        return read_index(self.system.real(f"{self.directory}/modules.{name}.bin"))

    def indexed(self, name: str) -> IndexedModule | None:
        """The entry of the module `name`."""
        index = self.index("dep")
        line = index.search(name) if index is not None and ":" not in name else None
        if line is None:
            return None
        path, _, needs = line.partition(":")
        return IndexedModule(self._absolute(path), tuple(self._absolute(item) for item in reversed(needs.split())))

    def is_built_in(self, name: str) -> bool:
        """Whether the list of what is built into the kernel has `name`."""
        index = self.index("builtin")
        return index is not None and index.search(name) is not None

    def look_up(self, given: str) -> list[Target]:
        """The modules that modprobe takes `given` for, in its order; several only for an alias.

        The first place that has the name decides: aliases of modprobe.d, modules, symbols, commands of modprobe.d,
        aliases of modules, what is built in, its aliases.
        """
        name = with_underscores(given)
        if name is None:
            return []
        return (
            self._from_modprobe_d(name)
            or self._from_modules(name)
            or (self._from_patterns("symbols", name, "a symbol that it exports") if name.startswith("symbol:") else [])
            or self._from_commands(name)
            or self._from_patterns("alias", name, "an alias of the module")
            or ([Target(name, None, "it is built in", built_in=True)] if self.is_built_in(name) else [])
            or self._from_patterns("builtin.alias", name, "an alias of what is built in", built_in=True)
        )

    def blacklisted(self, name: str) -> Directive | None:
        """The line that blacklists the module `name`."""
        return next((each for each in self._blacklist if each.key == name), None)

    def install_command(self, name: str) -> Directive | None:
        """The command that modprobe runs in place of loading the module `name`."""
        return next((each for each in self._installs if matches(each.key, name)), None)

    def remove_command(self, name: str) -> Directive | None:
        """The command that `modprobe -r` runs in place of removing it."""
        return next((each for each in self.config.of_kind("remove") if matches(each.key, name)), None)

    def options(self, target: Target) -> list[Directive]:
        """The options that modprobe hands over with a module."""
        names = (target.name, target.alias)
        return [each for each in self._options if each.key in names]

    def soft(self, name: str) -> tuple[Softdeps, Directive | None]:
        """What is loaded before and after a module, if it is there; the line that says so."""
        found = next((each for each in self._softdeps if matches(each.key, name)), None)
        return (Softdeps(), None) if found is None else (soft_dependencies(found.value), found)

    def weak(self, name: str) -> Directive | None:
        """What a module may load by itself: nothing to modprobe, but the initramfs should have it (kmod 33)."""
        return next((each for each in self.config.of_kind("weakdep") if matches(each.key, name)), None)

    def _from_modprobe_d(self, name: str) -> list[Target]:
        return [
            Target(each.value, each.key, f"alias in {each.place}", directive=each)
            for each in self._aliases
            if matches(each.key, name)
        ]

    def _from_modules(self, name: str) -> list[Target]:
        return [Target(name, None, "a module's name")] if self.indexed(name) is not None else []

    def _from_commands(self, name: str) -> list[Target]:
        for kind in ("install", "remove"):
            for each in self.config.of_kind(kind):
                if each.key == name:
                    return [Target(name.partition(".")[0], None, f"{kind} command in {each.place}", directive=each)]
        return []

    def _from_patterns(self, index_name: str, name: str, source: str, *, built_in: bool | None = None) -> list[Target]:
        index = self.index(index_name)
        found = index.search_patterns(name) if index is not None else []
        return [Target(module, name, source, built_in) for module in found]

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.directory}/{path}"

    @cached_property
    def _aliases(self) -> list[Directive]:
        return self.config.of_kind("alias")

    @cached_property
    def _blacklist(self) -> list[Directive]:
        return self.config.of_kind("blacklist")

    @cached_property
    def _installs(self) -> list[Directive]:
        return self.config.of_kind("install")

    @cached_property
    def _options(self) -> list[Directive]:
        return self.config.of_kind("options")

    @cached_property
    def _softdeps(self) -> list[Directive]:
        return self.config.of_kind("softdep")


def open_kmod(system: Rooted, directory: str) -> Kmod:
    """What modprobe knows of the kernel whose modules are in `directory`, a path in the system."""
    return Kmod(system, directory, read_modprobe_config(system, directory))

# SPDX-License-Identifier: GPL-2.0-only
"""What `modprobe NAME` does, step by step: files that it loads, commands that it runs in their place.

Counterpart: kmod (libkmod/libkmod-module.c: kmod_module_probe_insert_module, __kmod_module_get_probe_list). Surprises:
the soft dependencies of a module that is needed count, but not those of what these need; a module that has soft
dependencies is loaded although it has an install command; and of a module whose list of needed files has one that is
not there, none of these are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.depmod_scan import kmod_name
from kbuildpy.kernel.modprobe_config import Directive
from kbuildpy.which.kmod import IndexedModule, Kmod, Target

_MANY = 100_000
"""Steps that a name leads to at most."""


@dataclass(frozen=True)
class ProbeStep:
    """A thing that modprobe does."""

    kind: str
    """`insmod`, `install` (a command), `builtin` (nothing is to do), `missing` (no file is known: an error)."""
    target: Target
    path: str
    """The file, a path in the system; "" where there is none."""
    options: str
    """The parameters, as modprobe hands them over."""
    required: bool
    """An error of it is an error of the whole."""
    command: Directive | None = None
    """The line with its install command, whether that is run or not."""

    def as_modprobe(self, root: str = "") -> str:
        """The line of `modprobe --show-depends`, "" for a step that it says nothing of; the system is at `root`."""
        options = f"{self.options} " if self.options else ""
        if self.kind == "install":
            assert self.command is not None
            return f"install {self.command.value} {options}"
        if self.kind == "insmod":
            return f"insmod {root}{self.path} {options}"
        return f"builtin {self.target.name}" if self.kind == "builtin" else ""


@dataclass(frozen=True)
class ProbeResult:
    """All that modprobe does for one target."""

    target: Target
    blacklisted: Directive | None
    """The line because of which it does nothing."""
    steps: tuple[ProbeStep, ...]
    """Also those of a blacklisted target."""
    missing: tuple[str, ...] = ()
    """Files that it needs, as the index says, and that are not there."""


def probe(kmod: Kmod, target: Target) -> ProbeResult:
    """What modprobe does for `target`, if nothing is loaded yet.

    Raises `KbuildError` for a damaged index.
    """
    return _Walk(kmod).probe(target)


class _Walk:
    """One call of modprobe's, which remembers what it has visited."""

    def __init__(self, kmod: Kmod) -> None:
        self._kmod = kmod
        self._paths: dict[tuple[str, str | None], str | None] = {}
        self._built_in: dict[tuple[str, str | None], bool] = {}
        self._commands: dict[tuple[str, str | None], Directive] = {}
        self._needs: dict[str, list[Target]] = {}
        self._gone: dict[str, tuple[str, ...]] = {}

    def probe(self, target: Target) -> ProbeResult:
        self._met(target)
        order, ignored = self._order(target)
        required = {target.key, *(needed.key for needed in self._dependencies(target))}
        steps = tuple(self._step(each, each.key in required, each.key in ignored) for each in order)
        # (a name is not blacklisted: only an alias is)
        blacklisted = self._kmod.blacklisted(target.name) if target.alias is not None else None
        return ProbeResult(target, blacklisted, steps, self._gone.get(target.name, ()))

    def _order(self, target: Target) -> tuple[list[Target], set[tuple[str, str | None]]]:
        """All that is loaded, in order, and the keys of those whose install commands are not looked at."""
        order: list[Target] = []
        ignored: set[tuple[str, str | None]] = set()
        visited: set[tuple[str, str | None]] = set()
        # (without recursion: soft dependencies may be a chain of any length)
        rest: list[tuple[str, Target]] = [("visit", target)]
        while rest and len(order) < _MANY:
            what, each = rest.pop()
            if what == "visit" and each.key not in visited:
                visited.add(each.key)
                rest.append(("with its soft ones", each))
                rest += [("with its soft ones", needed) for needed in reversed(self._dependencies(each))]
            elif what == "with its soft ones":
                before, after = self._soft(each)
                rest += [("visit", item) for item in reversed(after)]
                rest.append(("append", each))
                rest += [("visit", item) for item in reversed(before)]
                if before or after:
                    ignored.add(each.key)
                else:
                    ignored.discard(each.key)
            elif what == "append":
                order.append(each)
        return order, ignored

    def _step(self, target: Target, is_required: bool, is_ignored: bool) -> ProbeStep:
        options = " ".join(each.value for each in self._kmod.options(target) if each.value)
        command = self._commands.get(target.key) or self._kmod.install_command(target.name)
        if command is not None and not is_ignored:
            return ProbeStep("install", target, self._path(target) or "", options, is_required, command)
        path = self._path(target)
        if path is not None:
            return ProbeStep("insmod", target, path, options, is_required, command)
        kind = "builtin" if self._is_built_in(target) else "missing"
        return ProbeStep(kind, target, "", options, is_required)

    def _met(self, target: Target) -> None:
        """Remember what a look-up says of a target: kmod keeps that for all later ones with its key."""
        if target.built_in is not None:
            self._built_in[target.key] = target.built_in
        if target.directive is not None and target.directive.kind == "install":
            self._commands[target.key] = target.directive

    def _soft(self, target: Target) -> tuple[list[Target], list[Target]]:
        soft, _ = self._kmod.soft(target.name)
        before, after = ([item for name in names for item in self._kmod.look_up(name)] for names in soft)
        for each in (*before, *after):
            self._met(each)
        return before, after

    def _path(self, target: Target) -> str | None:
        if target.key not in self._paths:
            indexed = self._kmod.indexed(target.name)
            self._paths[target.key] = indexed.path if indexed else None
        return self._paths[target.key]

    def _is_built_in(self, target: Target) -> bool:
        if target.key not in self._built_in:
            self._built_in[target.key] = self._kmod.is_built_in(target.name)
        return self._built_in[target.key]

    def _dependencies(self, target: Target) -> list[Target]:
        """What a module needs, in the order of loading."""
        if target.name not in self._needs:
            indexed = self._kmod.indexed(target.name)
            self._needs[target.name] = self._needed(target.name, indexed) if indexed else []
        return self._needs[target.name]

    def _needed(self, name: str, indexed: IndexedModule) -> list[Target]:
        gone = tuple(path for path in indexed.needs if not self._kmod.system.exists(path))
        if gone:
            self._gone[name] = gone
            return []
        found = [Target(kmod_name(path), None, "needed") for path in indexed.needs]
        for target, path in zip(found, indexed.needs, strict=True):
            self._paths[target.key] = path
            self._built_in[target.key] = False
        return found

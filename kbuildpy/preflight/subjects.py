# SPDX-License-Identifier: GPL-2.0-only
"""Which modules a preflight looks at, and which file of each.

Those that are loaded, and those that are installed beside the kernel's own (updates/, extra/, weak-updates/); or those
that are named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.kernel.depmod_indexes import built_in_modules
from kbuildpy.kernel.depmod_order import InstalledModule, installed_modules
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, find_modules, is_module_name, module_name


@dataclass(frozen=True)
class ModuleSet:
    """The modules that are installed for one kernel."""

    directory: Path
    """Its lib/modules/RELEASE; it need not be there."""
    modules: Mapping[str, InstalledModule]
    built_in: Collection[str]

    def file(self, name: str) -> Path | None:
        """The file that modprobe takes; None if there is none."""
        found = self.modules.get(name)
        return None if found is None else self.directory / found.file

    def is_added(self, name: str) -> bool:
        """Whether the file that modprobe takes is not one of the kernel's own."""
        found = self.modules.get(name)
        return found is not None and not found.file.startswith("kernel/")

    def has(self, name: str) -> bool:
        """Whether the kernel has the module, as a file or built in."""
        return name in self.modules or name in self.built_in


@dataclass(frozen=True)
class Candidate:
    """A module to look at."""

    name: str
    loaded: bool
    given: Path | None = None
    """The file that was named."""


def module_set(directory: Path, release: str) -> ModuleSet:
    """The modules below `directory`; empty where it is not there."""
    if not directory.is_dir():
        return ModuleSet(directory, {}, frozenset())
    modules = {module.name: module for module in installed_modules(directory, release)}
    return ModuleSet(directory, modules, built_in_modules(directory))


def candidates(words: Sequence[str], loaded: Sequence[str], old: ModuleSet) -> list[Candidate]:
    """The modules that `words` name: files, directories, or names of modules; without words those that are loaded and
    those that were added to the old kernel. Raises `UsageError` for a word that is none of them."""
    if not words:
        names = dict.fromkeys([*loaded, *(name for name in old.modules if old.is_added(name))])
        return [Candidate(name, name in loaded) for name in names]
    found: dict[tuple[str, Path | None], Candidate] = {}
    for word in words:
        for candidate in _of_word(word, loaded, old):
            found.setdefault((candidate.name, candidate.given), candidate)
    return list(found.values())


def _of_word(word: str, loaded: Sequence[str], old: ModuleSet) -> list[Candidate]:
    path = Path(word)
    if word and ("/" in word or word.endswith(MODULE_SUFFIXES) or path.is_dir()):
        files = find_modules([path])
        if not files:
            raise UsageError(f"{word}: no modules below it")
        return [Candidate(module_name(file.name), module_name(file.name) in loaded, file) for file in files]
    name = module_name(word)
    if not is_module_name(name):
        raise UsageError(f"{word!r}: no name of a module", hint="name modules, files, or directories of them")
    if not old.has(name) and name not in loaded:
        raise UsageError(
            f"{word}: no module of that name is loaded, or installed in {old.directory}",
            hint="name its file (a path with a slash, or one that ends in .ko)",
        )
    return [Candidate(name, name in loaded)]

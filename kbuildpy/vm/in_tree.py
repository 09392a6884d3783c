"""A kernel's own modules, for what a module under test depends on: which file has which, and what that needs in turn.

depmod's indexes say so (modules.dep, modules.softdep, modules.alias), as they do to modprobe. A kernel that is not
installed has its modules in a Debian package, which is unpacked once per user; depmod then runs over those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.module_names import softdeps_of
from kbuildpy.kernel.own_modules import built_in_names, read_modules_dep
from kbuildpy.run import run, with_sbin
from kbuildpy.vm.debian import extract
from kbuildpy.vm.machine import Machine

_SPECIAL = re.compile(r"[*?[]")
"""What is special in a pattern."""


@dataclass(frozen=True)
class KernelModules:
    """The modules of one kernel by name: their files, and those that each needs before it (all of them, in an order
    that works); `softdeps` are those that it would like to have before it, `aliases` pairs of pattern and name;
    `built_in` the names of what could be modules and is in the kernel."""

    files: Mapping[str, Path]
    needs: Mapping[str, tuple[str, ...]]
    softdeps: Mapping[str, tuple[str, ...]]
    aliases: tuple[tuple[str, str], ...]
    built_in: frozenset[str] = frozenset()

    def named(self, name: str) -> tuple[str, ...]:
        """The modules that `name` means: the one of that name, else all that have it for an alias."""
        plain = name.replace("-", "_")
        if plain in self.files:
            return (plain,)
        found = (
            module
            for pattern, module in self.aliases
            # (of some 30,000 patterns, each of which fnmatch would have to compile)
            if name.startswith(_SPECIAL.split(pattern, maxsplit=1)[0]) and fnmatchcase(name, pattern)
        )
        return tuple(dict.fromkeys(found))


def fetch_kernel_modules(release: str, *, machine: Machine | None = None, root: Path = Path("/")) -> KernelModules:
    """The modules of kernel `release`: installed ones, else those of Debian's package.

    `machine` is the one that the kernel is for (default: this). Raises `KbuildError` if there is no such package, or no
    depmod to index what was in it.
    """
    for place in (root / "lib/modules", root / "usr/lib/modules"):
        if (place / release / "modules.dep").is_file():
            return read_indexes(place / release)
    kept = cache_directory() / "modules"
    if not (kept / release / "modules.dep").is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetch-", dir=kept) as name:
            package = Path(name)
            _extract(release, package, machine.debian if machine and not machine.native else "")
            run(["depmod", "-b", package, release], env=with_sbin(os.environ))
            try:
                (package / "lib/modules" / release).rename(kept / release)
            except OSError:
                # (another run was quicker)
                if not (kept / release / "modules.dep").is_file():
                    raise
    return read_indexes(kept / release)


def read_indexes(directory: Path) -> KernelModules:
    """The modules of `directory` (lib/modules/RELEASE) by depmod's indexes."""
    listed = read_modules_dep(directory)
    files = {item.name: directory / item.path for item in listed}
    needs = {item.name: item.needs for item in listed}
    softdeps = {name: before for name in files if (before := softdeps_of(directory, name).pre)}
    aliases = [(words[1], words[2]) for words in _words(directory / "modules.alias") if len(words) == 3]
    return KernelModules(files, needs, softdeps, tuple(aliases), built_in_names(directory) or frozenset())


def _words(path: Path) -> list[list[str]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return [line.split() for line in lines if line and not line.startswith("#")]


def _extract(release: str, directory: Path, architecture: str) -> None:
    """Put lib/modules/RELEASE below `directory`. Newer kernels have their modules in a package of their own."""
    missing = None
    for package in (f"linux-modules-{release}", f"linux-image-{release}", f"linux-image-{release}-unsigned"):
        try:
            extract(package, directory, architecture=architecture)
        except KbuildError as error:
            missing = missing or error
            continue
        merged = directory / "usr/lib/modules" / release
        if merged.is_dir():
            (directory / "lib/modules").mkdir(parents=True, exist_ok=True)
            merged.rename(directory / "lib/modules" / release)
        if (directory / "lib/modules" / release / "kernel").is_dir():
            return
    raise KbuildError(
        f"the modules of kernel {release} are neither installed nor in a package",
        hint=f"apt-get install linux-image-{release}" if missing else "",
    )

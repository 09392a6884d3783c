# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of a system, as modprobe finds its modules there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from kbuildpy.errors import UsageError
from kbuildpy.kernel.command_line import KernelArgument, kernel_arguments
from kbuildpy.kernel.depmod_order import SearchOrder, search_order
from kbuildpy.kernel.depmod_scan import NamedFiles, scan_modules
from kbuildpy.kernel.module_files import MODULE_SUFFIXES
from kbuildpy.kernel.release import is_release, release_order
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.which.kmod import Kmod, open_kmod
from kbuildpy.which.kmod_features import kmod_suffixes

_COMPRESSED = MODULE_SUFFIXES[1:]
_TOPS = ("/lib/modules", "/usr/lib/modules")


@dataclass(frozen=True)
class KernelPlace:
    """A kernel of a system."""

    system: Rooted
    release: str
    directory: str
    """`/lib/modules/RELEASE`, a path in the system."""

    @cached_property
    def kmod(self) -> Kmod:
        """What modprobe knows of it."""
        return open_kmod(self.system, self.directory)

    @cached_property
    def order(self) -> SearchOrder:
        """What depmod.d says for it."""
        return search_order(self.release, system=self.system)

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """The endings of module files that kmod reads there: all, where that cannot be asked."""
        return kmod_suffixes() if self.system.is_running else MODULE_SUFFIXES

    @cached_property
    def runs(self) -> bool:
        """Whether it is the kernel that runs in the system."""
        return self.release == running_release(self.system)

    @cached_property
    def arguments(self) -> list[KernelArgument]:
        """The words of its command line; none for a kernel that does not run, beside one that does."""
        if self.system.is_running and not self.runs:
            return []
        return kernel_arguments(self.system.text("/proc/cmdline") or "")

    @property
    def depmod(self) -> str:
        """The command that makes the indexes again."""
        root = "" if self.system.is_running else f"-b {shlex.quote(str(self.system.root))} "
        return f"depmod {root}{shlex.quote(self.release)}"

    def files(self, names: Collection[str]) -> dict[str, NamedFiles]:
        """The files of these names that depmod would find now."""
        found = scan_modules(self.system, self.directory, self.order, names)
        paths = [path for each in found.values() for path in each.paths]
        # (kmod is asked only where that can matter)
        if any(path.endswith(_COMPRESSED) for path in paths) and not all(
            path.endswith(self.suffixes) for path in paths
        ):
            return scan_modules(self.system, self.directory, self.order, names, self.suffixes)
        return found

    def in_system(self, path: str) -> str:
        """The path in the system of a module that is named below `directory`."""
        return path if path.startswith("/") else f"{self.directory}/{path}"


def find_place(system: Rooted, release: str) -> KernelPlace | None:
    """The kernel `release` of `system`; None where it has no directory of modules."""
    if not is_release(release):
        return None
    for top in _TOPS:
        if system.is_directory(f"{top}/{release}"):
            return KernelPlace(system, release, f"{top}/{release}")
    return None


def releases_of(system: Rooted, *, file: str = "modules.dep.bin") -> list[str]:
    """The releases that have an index of modules in `system`, or another `file`, from the oldest to the newest."""
    names = {
        name
        for top in _TOPS
        for name in system.names(top)
        if is_release(name) and system.exists(f"{top}/{name}/{file}")
    }
    return sorted(names, key=release_order)


def running_release(system: Rooted) -> str:
    """The release of the kernel that runs in `system`; "" where that is not known."""
    if system.is_running:
        return os.uname().release
    return (system.text("/proc/sys/kernel/osrelease") or "").strip()


def default_place(system: Rooted) -> tuple[KernelPlace, str]:
    """The running kernel, else the newest one with modules, and a sentence if it is that. Raises `UsageError` if there
    is none."""
    running = running_release(system)
    place = find_place(system, running)
    if place is not None:
        return place, ""
    releases = releases_of(system) or releases_of(system, file="")
    newest = find_place(system, releases[-1]) if releases else None
    if newest is None:
        raise UsageError(
            f"{system.root}: no kernel with modules, in neither {' nor '.join(_TOPS)}", hint="name a system: --root DIR"
        )
    who = f"The running kernel {running} has no modules here" if running else "Which kernel runs is not known"
    return newest, f"{who}; took the newest one that has: {newest.release}."

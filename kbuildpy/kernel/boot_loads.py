# SPDX-License-Identifier: GPL-2.0-only
"""Lines that ask for a module to be loaded at boot: modules-load.d(5), Debian's lists, the kernel command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.kernel.command_line import kernel_arguments
from kbuildpy.kernel.module_files import is_module_name
from kbuildpy.kernel.rooted import Rooted, configuration_files

_FOLDERS = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_LISTS = ("/etc/modules", "/etc/initramfs-tools/modules")


class BootLoad(NamedTuple):
    """A line that names a module."""

    file: str
    line: int
    """0 on the kernel command line."""
    text: str
    name: str
    """As it is written there."""


def boot_loads(system: Rooted) -> Iterator[BootLoad]:
    """The modules that `system` loads at boot because it is told to."""
    files = [path for path in _LISTS if system.exists(path)]
    files += configuration_files(system, [f"{folder}/modules-load.d" for folder in _FOLDERS])
    seen = set()
    for path in files:
        # (Debian has one of the lists as a link in the directory as well)
        place = system.real(path).resolve()
        if place in seen:
            continue
        seen.add(place)
        for number, line in enumerate((system.text(path) or "").splitlines(), 1):
            words = line.split()
            if words and line.strip()[0] not in "#;" and is_module_name(words[0]):
                yield BootLoad(path, number, line.strip(), words[0])
    for argument in kernel_arguments(system.text("/proc/cmdline") or ""):
        if argument.name in ("modules_load", "rd.modules_load"):
            for name in filter(is_module_name, (argument.value or "").split(",")):
                yield BootLoad("/proc/cmdline", 0, f"{argument.name}={argument.value}", name)

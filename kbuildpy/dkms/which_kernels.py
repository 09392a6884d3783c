# SPDX-License-Identifier: GPL-2.0-only
"""Which kernels of a machine are meant where a call names none.

The running kernel; in a chroot, or while a system is made, the running kernel is another system's: then each one that
is installed with its headers.
"""

from __future__ import annotations

from kbuildpy.dkms.machine import DkmsMachine
from kbuildpy.dkms.versions import version_key


def kernels_to_build_for(machine: DkmsMachine, running: str) -> list[str]:
    """The releases that `build`, `install` and `autoinstall` are for."""
    return [running] if running in _installed(machine) else _buildable(machine) or [running]


def kernels_to_configure(machine: DkmsMachine, running: str) -> list[str]:
    """The releases that a package is built for when it is configured: also the newest one, or all
    (`autoinstall_all_kernels`), of those that are installed with their headers."""
    buildable = _buildable(machine)
    if running in _installed(machine) and not machine.settings.get("autoinstall_all_kernels"):
        return [name for name in dict.fromkeys((running, *buildable[-1:])) if name in buildable]
    return buildable


def _installed(machine: DkmsMachine) -> list[str]:
    folder = machine.places.install_tree
    return [path.name for path in folder.iterdir() if path.name[:1].isdigit()] if folder.is_dir() else []


def _buildable(machine: DkmsMachine) -> list[str]:
    names = [name for name in _installed(machine) if (machine.tree_path(name) / "include").exists()]
    return sorted(names, key=version_key)

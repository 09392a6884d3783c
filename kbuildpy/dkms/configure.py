# SPDX-License-Identifier: GPL-2.0-only
"""What happens when a package NAME-dkms is configured: its sources are in /usr/src, and are to be built.

For which kernels: the running one and the newest one that are installed; in a chroot, or while a system is made, where
the running kernel is not installed: every one that is.
"""

from __future__ import annotations

from kbuildpy.dkms.build import EXCLUDED
from kbuildpy.dkms.machine import FAILED, DkmsMachine, add, install, remove
from kbuildpy.dkms.versions import version_key
from kbuildpy.errors import KbuildError


def kernels_to_configure(machine: DkmsMachine, running: str) -> list[str]:
    """The releases to build for: of the kernels that are installed with their headers."""
    folder = machine.places.install_tree
    installed = [path.name for path in folder.iterdir() if path.name[:1].isdigit()] if folder.is_dir() else []
    buildable = [name for name in installed if (machine.tree_path(name) / "include").exists()]
    buildable.sort(key=version_key)
    if running in installed and not machine.settings.get("autoinstall_all_kernels"):
        return [name for name in dict.fromkeys((running, *buildable[-1:])) if name in buildable]
    return buildable


def configure(machine: DkmsMachine, name: str, version: str, running: str, arch: str) -> int:
    """Add the package anew, and install it for the kernels of this machine; the exit status. What fails is told, and
    what was installed before stays where it is not replaced."""
    places = machine.places
    if (name, version) in places.added(name, version):
        remove(machine, name, version, places.kernels(name, version))
    kernels = kernels_to_configure(machine, running)
    if (name, version) not in places.added(name, version):
        add(machine, name, version, kernels[-1] if kernels else running, arch)
    failed = 0
    for kernel in kernels:
        try:
            install(machine, name, version, kernel, arch)
        except KbuildError as error:
            if error.status == EXCLUDED:
                machine.say(f"{name}/{version}: left out: {error.message}")
                continue
            machine.say(f"kbuildpy: error: {error}")
            failed = FAILED
    if not kernels:
        machine.say(f"{name}/{version}: no kernel is installed with its headers: nothing to build for")
    return failed

# SPDX-License-Identifier: GPL-2.0-only
"""What happens when a package NAME-dkms is configured: its sources are in /usr/src, or in an archive, and are to be
built for the kernels of `which_kernels`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kbuildpy.dkms.archives import ldtarball
from kbuildpy.dkms.build import EXCLUDED
from kbuildpy.dkms.machine import FAILED, DkmsMachine, add, install, remove
from kbuildpy.dkms.which_kernels import kernels_to_configure
from kbuildpy.errors import KbuildError


def configure(
    machine: DkmsMachine, name: str, version: str, running: str, arch: str, *, archive: Path | None = None
) -> int:
    """Add the package anew, from `archive` if there is that file, and install it for the kernels of this machine; the
    exit status. What fails is told, and what was installed before stays where it is not replaced."""
    places = machine.places
    if (name, version) in places.added(name, version):
        remove(machine, name, version, places.kernels(name, version))
    kernels = kernels_to_configure(machine, running)
    about = kernels[-1] if kernels else running
    if archive is not None and archive.is_file():
        # (its sources are the package's, and belong to the archive's version)
        ldtarball(replace(machine, force=True), archive, about, arch)
    elif (name, version) not in places.added(name, version):
        add(machine, name, version, about, arch)
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

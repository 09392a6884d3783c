# SPDX-License-Identifier: GPL-2.0-only
"""Which package to install, in the words of the distribution that runs here."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from kbuildpy.distribution import DEBIAN, FEDORA, OS_RELEASE, UBUNTU, System, this_system
from kbuildpy.program_packages import names_of

# Debian calls its kernel flavours by its own architecture names; 32-bit ones have several flavours.
_DEBIAN_FLAVOUR = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "686-pae",
    "i586": "686",
    "armv7l": "armmp",
    "armv6l": "rpi",
    "ppc64le": "powerpc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}


def headers_hint(*, machine: str = "", os_release: Path = OS_RELEASE) -> str:
    """How to install the headers of the distribution's current kernel for `machine` (`uname -m`; default: this one)."""
    system = this_system(os_release)
    if system is None:
        return "install your distribution's kernel headers package, or name a prepared kernel tree with KDIR"
    return f"{system.install} {headers_package(system, machine=machine)}"


def headers_package(system: System, *, machine: str = "") -> str:
    """The package with the headers of the current kernel of `system` for `machine` (`uname -m`; default: this one)."""
    if system is UBUNTU:
        return "linux-headers-generic"
    if system is DEBIAN:
        machine = machine or os.uname().machine
        return f"linux-headers-{_DEBIAN_FLAVOUR.get(machine, machine)}"
    return names_of("linux-headers", system)


def release_hint(release: str, *, os_release: Path = OS_RELEASE) -> str:
    """How to install the headers of one release, as a command; a release may be out of a module file."""
    system = this_system(os_release)
    if system in (DEBIAN, UBUNTU):
        return f"apt-get install linux-headers-{shlex.quote(release)}"
    if system is FEDORA:
        return f"dnf install kernel-devel-{shlex.quote(release)}"
    return f"install the kernel headers of {release}, or name a prepared kernel tree with KDIR"


def image_hint(release: str, *, os_release: Path = OS_RELEASE) -> str:
    """How to install the kernel `release` itself, its image and its modules, as a command."""
    system = this_system(os_release)
    if system in (DEBIAN, UBUNTU):
        return f"apt-get install linux-image-{shlex.quote(release)}"
    if system is FEDORA:
        return f"dnf install kernel-core-{shlex.quote(release)} kernel-modules-{shlex.quote(release)}"
    return f"install the kernel {release}, or name the path of its image"


def debug_kernel_hint(release: str, build_id: str = "", *, os_release: Path = OS_RELEASE) -> str:
    """How to get the kernel `release` with debug information; `build_id` is what debuginfod knows it by."""
    system = this_system(os_release)
    quoted = shlex.quote(release)
    if system is UBUNTU:
        hint = f"apt-get install linux-image-{quoted}-dbgsym (from ddebs.ubuntu.com)"
    elif system is DEBIAN:
        hint = f"apt-get install linux-image-{quoted}-dbg"
    elif system is FEDORA:
        hint = f"dnf debuginfo-install kernel-core-{quoted}"
    else:
        hint = f"install the debug information of kernel {quoted}"
    return f"{hint}, or: debuginfod-find debuginfo {build_id}" if build_id else hint


def reinstall_hint(lost: Path, *, os_release: Path = OS_RELEASE) -> str:
    """What to do about a part of a headers package that is gone; Debian names packages as their directories."""
    if this_system(os_release) in (DEBIAN, UBUNTU) and lost.name.startswith(("linux-headers-", "linux-kbuild-")):
        return f"apt-get install --reinstall {lost.name}"
    return f"restore {lost}, or reinstall the package of kernel headers that it belongs to"

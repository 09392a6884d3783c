# SPDX-License-Identifier: GPL-2.0-only
"""Which package to install, in the words of the distribution that runs here."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_OS_RELEASE = Path("/etc/os-release")

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


def headers_hint(*, machine: str = "", os_release: Path = _OS_RELEASE) -> str:
    """How to install the headers of the distribution's current kernel for `machine` (`uname -m`; default: this one)."""
    words = distribution(os_release)
    if "ubuntu" in words:
        return "apt-get install linux-headers-generic"
    if "debian" in words:
        machine = machine or os.uname().machine
        return f"apt-get install linux-headers-{_DEBIAN_FLAVOUR.get(machine, machine)}"
    if words & {"fedora", "rhel", "centos"}:
        return "dnf install kernel-devel"
    if words & {"suse", "opensuse"}:
        return "zypper install kernel-default-devel"
    if "arch" in words:
        return "pacman -S linux-headers"
    if "alpine" in words:
        return "apk add linux-lts-dev"
    return "install your distribution's kernel headers package, or name a prepared kernel tree with KDIR"


def release_hint(release: str, *, os_release: Path = _OS_RELEASE) -> str:
    """How to install the headers of one release, as a command; a release may be out of a module file."""
    words = distribution(os_release)
    if "debian" in words:
        return f"apt-get install linux-headers-{shlex.quote(release)}"
    if words & {"fedora", "rhel", "centos"}:
        return f"dnf install kernel-devel-{shlex.quote(release)}"
    return f"install the kernel headers of {release}, or name a prepared kernel tree with KDIR"


def debug_kernel_hint(release: str, build_id: str = "", *, os_release: Path = _OS_RELEASE) -> str:
    """How to get the kernel `release` with debug information; `build_id` is what debuginfod knows it by."""
    words = distribution(os_release)
    quoted = shlex.quote(release)
    if "ubuntu" in words:
        hint = f"apt-get install linux-image-{quoted}-dbgsym (from ddebs.ubuntu.com)"
    elif "debian" in words:
        hint = f"apt-get install linux-image-{quoted}-dbg"
    elif words & {"fedora", "rhel", "centos"}:
        hint = f"dnf debuginfo-install kernel-core-{quoted}"
    else:
        hint = f"install the debug information of kernel {quoted}"
    return f"{hint}, or: debuginfod-find debuginfo {build_id}" if build_id else hint


def reinstall_hint(lost: Path, *, os_release: Path = _OS_RELEASE) -> str:
    """What to do about a part of a headers package that is gone; Debian names packages as their directories."""
    if "debian" in distribution(os_release) and lost.name.startswith(("linux-headers-", "linux-kbuild-")):
        return f"apt-get install --reinstall {lost.name}"
    return f"restore {lost}, or reinstall the package of kernel headers that it belongs to"


def distribution(os_release: Path = _OS_RELEASE) -> frozenset[str]:
    """The distribution's own word and those of its ancestors (os-release(5): ID, ID_LIKE)."""
    return frozenset(_words(os_release, "ID", "ID_LIKE"))


def distribution_id(os_release: Path = _OS_RELEASE) -> str:
    """The distribution's own word (os-release(5): ID); "linux" where it has none, as the manual page says."""
    return next(iter(_words(os_release, "ID")), "linux")


def _words(os_release: Path, *names: str) -> list[str]:
    try:
        text = os_release.read_text(errors="replace")
    except OSError:
        return []
    words: list[str] = []
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name in names:
            words += value.strip("\"'").split()
    return words

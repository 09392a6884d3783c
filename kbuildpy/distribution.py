# SPDX-License-Identifier: GPL-2.0-only
"""Which distribution runs here, and how packages are installed there (os-release(5))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class System:
    """A distribution whose packages we know, with those that are made from it."""

    name: str
    """As it writes itself."""
    words: frozenset[str]
    """What ID or ID_LIKE say for it."""
    install: str
    """The command that installs packages, as root."""


UBUNTU = System("Ubuntu", frozenset({"ubuntu"}), "apt-get install")
DEBIAN = System("Debian", frozenset({"debian"}), "apt-get install")
FEDORA = System("Fedora", frozenset({"fedora", "rhel", "centos"}), "dnf install")
ARCH = System("Arch", frozenset({"arch"}), "pacman -S")
OPENSUSE = System("openSUSE", frozenset({"suse", "opensuse"}), "zypper install")
ALPINE = System("Alpine", frozenset({"alpine"}), "apk add")

SYSTEMS = {
    "debian": DEBIAN,
    "ubuntu": UBUNTU,
    "fedora": FEDORA,
    "arch": ARCH,
    "opensuse": OPENSUSE,
    "alpine": ALPINE,
}
"""The distributions that are known, by the word for them."""

_ORDER = (UBUNTU, DEBIAN, FEDORA, OPENSUSE, ARCH, ALPINE)
"""The most particular one first: Ubuntu is like Debian."""


def this_system(os_release: Path = OS_RELEASE) -> System | None:
    """The distribution that runs here, or the one that it is made from; None if its packages are not known."""
    words = distribution(os_release)
    return next((system for system in _ORDER if system.words & words), None)


def distribution(os_release: Path = OS_RELEASE) -> frozenset[str]:
    """The distribution's own word and those of its ancestors (os-release(5): ID, ID_LIKE)."""
    return frozenset(word for name in ("ID", "ID_LIKE") for word in os_release_value(name, os_release).split())


def distribution_id(os_release: Path = OS_RELEASE) -> str:
    """The distribution's own word (os-release(5): ID); "linux" where it has none, as the manual page says."""
    return next(iter(os_release_value("ID", os_release).split()), "linux")


def os_release_value(name: str, os_release: Path = OS_RELEASE) -> str:
    """The value of `name` in os-release; "" where it has none."""
    try:
        text = os_release.read_text(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        found, _, value = line.partition("=")
        if found == name:
            return value.strip("\"'")
    return ""

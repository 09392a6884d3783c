# SPDX-License-Identifier: GPL-2.0-only
"""Releases (`uname -r`): what can be one, the one in a vermagic, its version, and their order: 6.12 comes after 6.1, a
release candidate before its release.

Releases are free text after the version (`6.1.0-56-cloud-amd64`, `6.12.117+deb12-amd64`, `6.8.0-45-generic`,
`5.14.0-427.el9.x86_64`), so this is the order a person expects rather than one that anything defines.
"""

from __future__ import annotations

import re

Version = tuple[int, ...]
"""Major, minor and, for a stable release, its number: (6, 12, 46)."""

_RELEASE = re.compile(r"\d[!-.0-~]{0,63}")
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+)\b)?", re.ASCII)
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:[-~]rc(\d+))?")


def version_of(release: str) -> Version:
    """The version that a kernel's release begins with, `6.12.117+deb12-amd64`: major, minor and, of a stable release,
    which one it is. Raises ValueError if there is none."""
    found = _NUMBERS.match(release)
    if found is None:
        raise ValueError(f"{release!r}, does not begin with a version")
    return tuple(int(number) for number in found.groups() if number is not None)


def has_change(version: Version, since: tuple[Version, ...]) -> bool:
    """Whether a kernel of `version` has a change. The first version of `since` is the first mainline version with it;
    the others are the stable releases that it was backported to, each for its own line."""
    mainline, *stable = since
    return version >= mainline or any(version[:2] == release[:2] and version >= release for release in stable)


def is_release(word: str) -> bool:
    """Whether `word` can be what a kernel calls itself, and so part of a path: a version and what follows it, in
    printable ASCII without a slash, of at most 64 characters (the kernel tree's Makefile: uts_len)."""
    return _RELEASE.fullmatch(word) is not None


def release_of_vermagic(vermagic: str) -> str:
    """The release that a vermagic begins with (include/linux/vermagic.h: VERMAGIC_STRING); "" if that cannot be one.

    A module may contain anything there, and callers use the release in paths.
    """
    word = vermagic.split(" ", 1)[0]
    return word if is_release(word) else ""


def release_order(release: str) -> tuple[object, ...]:
    """A sort key: the newest release sorts last, and among flavours of one version the plainest."""
    found = _VERSION.match(release)
    if not found:
        return ((), 0, (), 0, release)
    version = [int(number) for number in found[1].split(".")]
    while version and version[-1] == 0:
        version.pop()
    candidate = float(found[2]) if found[2] else float("inf")
    rest = release[found.end() :]
    numbers = tuple(int(number) for number in re.findall(r"\d+", rest))
    words = len(re.findall(r"[A-Za-z]\w*", rest))
    return (tuple(version), candidate, numbers, -words, rest)

# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that apt offers: headers and images of all flavours, with the packages that they consist of.

Debian splits the headers of a kernel into three packages: its own (configuration, generated headers, symvers), one for
all flavours (`-common`), and the programs of Kbuild (`linux-kbuild-X`). An image is one package, signed or `-unsigned`,
and from 7.0 on three. Packages without a release of their own (`linux-headers-amd64`, `linux-headers-6.12-amd64`) only
bring in another one, and are left out.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.release import is_release, release_order
from kbuildpy.run import run

_STANZA = re.compile(rb"^Package: linux-(?:headers|kbuild|image|binary|modules|base)-.*?(?=\n\n|\Z)", re.M | re.S)
_FIELD = re.compile(r"^([A-Za-z-]+): ?(.*)$", re.MULTILINE)
_NAME = re.compile(r"\s*([a-z0-9][a-z0-9.+-]+)")
_VERSION = re.compile(r"[0-9A-Za-z.+:~-]+")
_HEADERS, _IMAGE = "linux-headers-", "linux-image-"
_PARTS_OF_HEADERS = (_HEADERS, "linux-kbuild-")
_PARTS_OF_IMAGE = (_IMAGE, "linux-binary-", "linux-modules-", "linux-base-")
_NO_RELEASES = ("-dbg", "-unsigned", "-signed-template")


@dataclass(frozen=True)
class OfferedPackage:
    """A package in apt's lists."""

    name: str
    version: str
    architecture: str
    size: int
    """Bytes to download."""
    unpacked_size: int
    """Bytes on the disk, about."""
    depends: tuple[tuple[str, ...], ...]
    """The names of packages that it needs, one of each tuple."""

    @property
    def word(self) -> str:
        """What `apt-get download` takes for exactly this package."""
        return f"{self.name}={self.version}"


@dataclass(frozen=True)
class OfferedKernel:
    """A kernel in apt's lists."""

    release: str
    architecture: str
    """Debian's word."""
    headers: tuple[OfferedPackage, ...]
    """The packages of its headers, its own one last; none where apt has only the image."""
    image: tuple[OfferedPackage, ...]
    """The packages of its image and its modules; none where apt has only headers."""


def offered_kernels() -> tuple[OfferedKernel, ...]:
    """What apt offers on this system, from the oldest to the newest kernel.

    Raises `KbuildError` where there is no apt, or its lists have no kernel.
    """
    if shutil.which("apt-cache") is None:
        raise KbuildError(
            "kernels are fetched from Debian's packages, and there is no apt here (apt-cache: program not found)",
            hint="install kernel headers by this system's own package manager, or name a kernel tree with KDIR",
        )
    try:
        lists = run(["apt-cache", "dumpavail"], env={**os.environ, "LC_ALL": "C"}, timeout=600).stdout
    except CommandError as error:
        raise KbuildError(f"apt cannot list its packages: {error.stderr.strip() or error.message}") from error
    kernels = kernels_of_lists(lists)
    if not kernels:
        raise KbuildError(
            "apt offers no kernel: its package lists are empty, or name none",
            hint="fetch the lists: apt-get update (as root)",
        )
    return kernels


def kernels_of_lists(lists: bytes) -> tuple[OfferedKernel, ...]:
    """The kernels in `lists`, which has the form of apt's package lists (deb822: paragraphs of `Name: value`)."""
    packages = {package.name: package for package in map(_package, _STANZA.findall(lists)) if package is not None}
    releases = {release for name in packages if (release := _release_of(name, packages))}
    return tuple(_kernel(release, packages) for release in sorted(releases, key=release_order))


def _package(stanza: bytes) -> OfferedPackage | None:
    fields = dict(_FIELD.findall(stanza.decode(errors="replace")))
    # (both become parts of paths and of apt's arguments)
    if not (_NAME.fullmatch(fields.get("Package", "")) and _VERSION.fullmatch(fields.get("Version", ""))):
        return None
    try:
        return OfferedPackage(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            size=int(fields["Size"]),
            unpacked_size=int(fields.get("Installed-Size", "0")) * 1024,
            depends=tuple(_alternatives(f"{fields.get('Pre-Depends', '')},{fields.get('Depends', '')}")),
        )
    except (KeyError, ValueError):
        return None


def _alternatives(text: str) -> Iterator[tuple[str, ...]]:
    for item in text.split(","):
        names = tuple(found[1] for word in item.split("|") if (found := _NAME.match(word)))
        if names:
            yield names


def _release_of(name: str, packages: Mapping[str, OfferedPackage]) -> str:
    """The release whose headers or image package `name` is; "" if it is none."""
    for prefix in (_HEADERS, _IMAGE):
        if name.startswith(prefix) and packages[name].architecture != "all":
            release = name.removeprefix(prefix)
            if prefix == _IMAGE:
                release = release.removesuffix("-unsigned")
            leads_on = any(_is_of_another(other, prefix, name, packages) for other in _needed(packages[name]))
            return release if is_release(release) and not release.endswith(_NO_RELEASES) and not leads_on else ""
    return ""


def _is_of_another(other: str, prefix: str, name: str, packages: Mapping[str, OfferedPackage]) -> bool:
    """Whether `other` is the same package of another kernel than `name`'s."""
    found = packages.get(other)
    return other != name and other.startswith(prefix) and found is not None and found.architecture != "all"


def _kernel(release: str, packages: Mapping[str, OfferedPackage]) -> OfferedKernel:
    headers = _with_parts([f"{_HEADERS}{release}"], _PARTS_OF_HEADERS, packages)
    image = _with_parts([f"{_IMAGE}{release}", f"{_IMAGE}{release}-unsigned"], _PARTS_OF_IMAGE, packages)
    architecture = (headers or image)[-1].architecture
    return OfferedKernel(release, architecture, headers, image)


def _with_parts(
    names: Sequence[str], prefixes: tuple[str, ...], packages: Mapping[str, OfferedPackage]
) -> tuple[OfferedPackage, ...]:
    """The first of `names` that there is, behind all packages with a name of one of `prefixes` that it needs."""
    first = next((packages[name] for name in names if name in packages), None)
    if first is None:
        return ()
    found: dict[str, OfferedPackage] = {}
    rest = [first]
    while rest:
        package = rest.pop()
        found.setdefault(package.name, package)
        for other in _needed(package):
            if other.startswith(prefixes) and other in packages and other not in found:
                rest.append(packages[other])
    return tuple(reversed(found.values()))


def _needed(package: OfferedPackage) -> Iterator[str]:
    """The first alternative of each dependency."""
    return (names[0] for names in package.depends)


def missing_besides(packages: Iterable[OfferedPackage], *, status: Path = Path("/var/lib/dpkg/status")) -> list[str]:
    """The packages, none of the kernel's and no compilers, that `packages` need and that are not installed: libraries
    of Kbuild's programs. Empty where the system's packages cannot be told."""
    try:
        text = status.read_text(errors="replace")
    except OSError:
        return []
    installed: set[str] = set()
    for stanza in text.split("\n\n"):
        fields = dict(_FIELD.findall(stanza))
        if fields.get("Status", "").endswith(" installed"):
            installed.add(fields["Package"])
            # (libssl3t64 of Debian 13 is the libssl3 of Debian 12, too)
            installed |= {word.split()[0] for word in fields.get("Provides", "").split(",") if word.strip()}
    wanted = dict.fromkeys(names for package in packages for names in package.depends)
    own = ("linux-", "gcc-")
    return [names[0] for names in wanted if not names[0].startswith(own) and not installed & {*names}]

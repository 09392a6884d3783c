# SPDX-License-Identifier: GPL-2.0-only
"""The modules and the settings of modprobe in a kernel's first file system (initramfs, "initrd").

Of what is in an image, digests are kept. They are remembered in the user's cache: reading an image takes a second.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kbuildpy.compression import compression_of, decompress
from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.depmod_indexes import state_of
from kbuildpy.kernel.module_files import MODULE_SUFFIXES
from kbuildpy.which.archives import read_archives
from kbuildpy.which.cpio import ArchiveMember, MemberContents

IMAGES = ("boot/initrd.img-{0}", "boot/initramfs-{0}.img", "boot/initrd-{0}", "lib/modules/{0}/initrd")
"""Where the image of a release is: of Debian; of dracut in Fedora and others; of SUSE; of kernel-install."""

_MODULE = re.compile(r"(?:usr/)?lib/modules/([^/]+)/(.+)\Z")
_SETTINGS = re.compile(r"(?:etc|run|(?:usr/)?(?:local/)?lib)/modprobe\.d/[^/]+\.conf\Z")
_LARGEST_MODULE = 1 << 28
_LARGEST_SETTING = 1 << 18
_FORM = "initramfs 1"


class CopiedModule(NamedTuple):
    """A module in the image."""

    path: str
    """Below lib/modules/RELEASE."""
    digest: str
    """SHA-256 of the file."""
    plain: str
    """SHA-256 of the module in it, decompressed; "" where that failed."""


@dataclass(frozen=True)
class Initramfs:
    """What an image has for one kernel."""

    modules: tuple[CopiedModule, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    """Files of modprobe.d: the path in the image, and the text."""
    problem: str = ""
    """Why not all of it could be read."""


@dataclass
class _Found:
    release: str
    modules: dict[str, CopiedModule] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    names: dict[tuple[int, int, int], list[str]] = field(default_factory=dict)


def find_initramfs(root: Path, release: str) -> Path | None:
    """The image for `release` in the system at `root`; None if there is none."""
    for place in IMAGES:
        path = root / place.format(release)
        if path.is_file():
            return path
    return None


def remembered_initramfs(path: Path, release: str) -> Initramfs:
    """What `read_initramfs` returns, from the user's cache if the file is the same as then."""
    state = state_of(path)
    key = hashlib.sha256(f"{_FORM}\0{os.path.realpath(path)}\0{state}\0{release}".encode(errors="surrogateescape"))
    cached = cache_directory() / "initramfs" / f"{key.hexdigest()}.json"
    known = read_json(cached)
    if isinstance(known, dict):
        return Initramfs(
            tuple(CopiedModule(*item) for item in known["modules"]),
            tuple((name, text) for name, text in known["settings"]),
        )
    found = read_initramfs(path, release)
    if not found.problem:
        write_json(cached, {"modules": found.modules, "settings": found.settings})
    return found


def read_initramfs(path: Path, release: str) -> Initramfs:
    """The modules for the kernel `release` in the image `path`, and modprobe's settings. Raises nothing: what is wrong
    with the image is in the result, together with what was read before."""
    found = _Found(release)
    problem = ""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            read_archives(file, lambda member: _choose(member, found))
    except OSError as error:
        problem = error.strerror or str(error)
    except KbuildError as error:
        problem = error.message + (f" ({error.hint})" if error.hint else "")
    return Initramfs(tuple(found.modules.values()), tuple(found.settings.items()), problem)


def _choose(member: ArchiveMember, found: _Found) -> MemberContents | None:
    """What takes the contents of a member that matters."""
    if not member.is_regular:
        return None
    names = [member.name]
    if member.links > 1:
        # (of a file with several names the last one brings the contents)
        together = found.names.setdefault(member.identity, [])
        together.append(member.name)
        # (an empty one has none to bring)
        if not member.size and len(together) < member.links:
            return None
        names = found.names.pop(member.identity)
    modules = [below for name in names if (below := _module_path(name, found.release))]
    if modules:
        return _ModuleContents(modules, found) if member.size <= _LARGEST_MODULE else None
    settings = [name for name in names if _SETTINGS.match(name)]
    if settings and member.size <= _LARGEST_SETTING:
        return _SettingContents(settings, found)
    return None


def _module_path(name: str, release: str) -> str:
    matched = _MODULE.match(name)
    return matched[2] if matched and matched[1] == release and name.endswith(MODULE_SUFFIXES) else ""


class _ModuleContents:
    """Keeps the digests of a module."""

    def __init__(self, paths: list[str], found: _Found) -> None:
        self._paths, self._found = paths, found
        self._contents = bytearray()

    def add(self, piece: bytes) -> None:
        self._contents += piece

    def end(self) -> None:
        contents = bytes(self._contents)
        digest, plain = digests(contents)
        for path in self._paths:
            self._found.modules[path] = CopiedModule(path, digest, plain)


class _SettingContents:
    """Keeps a file of modprobe.d."""

    def __init__(self, names: list[str], found: _Found) -> None:
        self._names, self._found = names, found
        self._contents = bytearray()

    def add(self, piece: bytes) -> None:
        self._contents += piece

    def end(self) -> None:
        text = self._contents.decode("utf-8", "surrogateescape")
        self._found.settings.update(dict.fromkeys(self._names, text))


def digests(contents: bytes) -> tuple[str, str]:
    """SHA-256 of a module file, and of the module in it; "" for the second where it cannot be decompressed."""
    digest = hashlib.sha256(contents).hexdigest()
    if not compression_of(contents[:16]):
        return digest, digest
    try:
        return digest, hashlib.sha256(decompress(contents)).hexdigest()
    except KbuildError:
        return digest, ""

# SPDX-License-Identifier: GPL-2.0-only
"""A Debian package of sources for DKMS: NAME-dkms_VERSION_all.deb, with /usr/src/NAME-VERSION.

Its scripts call what Debian's package dkms has for that: common.postinst adds, builds and installs, `dkms remove`
takes everything away before the sources go. (kbuildpy's stand-in for dkms has both, too.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.package.deb import require_maintainer
from kbuildpy.package.deb_documents import changelog, copyright_file
from kbuildpy.package.deb_file import build_deb, files_in_deb
from kbuildpy.package.format import BuildPlace
from kbuildpy.package.module_package import PackageFile
from kbuildpy.printable import printable
from kbuildpy.private_keys import is_private_key

_LEFT_OUT_FOLDERS = frozenset({"build", "build-coverage", "coverage", "debian"})
_LEFT_OUT = (".o", ".ko", ".mod", ".mod.c", ".cmd", ".symvers", ".order", ".dblite", ".deb", ".a", ".pyc")
_LARGEST = 1 << 30

_POSTINST = """#!/bin/sh
set -e

case "$1" in
configure)
    /usr/lib/dkms/common.postinst '{name}' '{version}' '/usr/share/{name}-dkms' '' "$2"
    ;;
esac
"""

_PRERM = """#!/bin/sh
set -e

case "$1" in
remove|upgrade|deconfigure)
    if [ -n "$(dkms status -m '{name}' -v '{version}')" ]; then
        dkms remove -m '{name}' -v '{version}' --all
    fi
    ;;
esac
"""


@dataclass(frozen=True)
class SourcePackage:
    """A package of sources."""

    name: str
    version: str
    files: tuple[PackageFile, ...] = field(repr=False)
    """The sources by their paths below the directory, dkms.conf among them."""
    date: int
    maintainer: str
    summary: str
    licenses: tuple[str, ...]
    copyright: str = ""
    depends: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """What the package file is called."""
        return f"{self.name}-dkms_{self.version}_all.deb"


def read_sources(directory: Path, more: Mapping[str, bytes]) -> list[PackageFile]:
    """The sources in `directory`, without what builds leave there, without names that begin with a dot and without
    private keys, and the files of `more`. Raises `UsageError` for a file that leads out of it."""
    found = {name: PackageFile(name, contents) for name, contents in more.items()}
    size = 0
    for path in _walk(directory):
        name = str(path.relative_to(directory))
        if not path.resolve().is_relative_to(directory.resolve()):
            raise UsageError(f"{path}: a link that leads out of {directory}", hint="put the file there")
        if not path.is_file():
            raise UsageError(f"{path}: neither a file nor a directory")
        if is_private_key(path):
            continue
        if not name.isprintable() or "\n" in name:
            raise UsageError(f"{printable(str(path))}: not a name for a file of a package", hint="rename it")
        size += path.stat().st_size
        if size > _LARGEST:
            raise UsageError(f"{directory}: more than {_LARGEST >> 30} GiB of sources", hint="name the module's folder")
        found.setdefault(name, PackageFile(name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644))
    return [found[name] for name in sorted(found)]


def secrets_below(directory: Path) -> tuple[list[str], list[str]]:
    """The private keys among the sources in `directory`, which `read_sources` leaves out; and the files that it packs,
    although others may not read them, where they may read the rest. Names are relative to `directory`."""
    keys, closed, is_open = [], [], False
    for path in _walk(directory):
        name = str(path.relative_to(directory))
        if is_private_key(path):
            keys.append(name)
        elif not path.stat().st_mode & 0o044:
            closed.append(name)
        else:
            is_open = True
    return keys, closed if is_open else []


def newest(directory: Path) -> int:
    """When the newest of the sources was written."""
    return max((int(path.stat().st_mtime) for path in _walk(directory)), default=0)


def build_source_deb(package: SourcePackage, place: BuildPlace) -> Path:
    """Build the package, and read it back. Raises `KbuildError` and OSError."""
    require_maintainer(package.maintainer)
    name, root = f"{package.name}-dkms", f"usr/src/{package.name}-{package.version}"
    control = {
        "Package": name,
        "Version": package.version,
        "Architecture": "all",
        "Maintainer": package.maintainer,
        "Depends": ", ".join(("dkms (>= 3.0)", *package.depends)),
        "Section": "kernel",
        "Priority": "optional",
        "Description": f"{package.summary} (sources for DKMS)\n"
        " Sources of kernel modules, which DKMS builds for each kernel of this\n machine.",
    }
    text = package.copyright or copyright_file(package.name, package.licenses, ())
    entry = "Sources for DKMS."
    sources = [PackageFile(f"{root}/{file.path}", file.contents, file.mode) for file in package.files]
    files = [
        *sources,
        PackageFile(f"usr/share/doc/{name}/copyright", text.encode(errors="surrogateescape")),
        PackageFile(
            f"usr/share/doc/{name}/changelog.gz",
            changelog(name, package.version, entry, package.maintainer, package.date),
        ),
    ]
    words = {"name": package.name, "version": package.version}
    members = {"postinst": _POSTINST.format(**words), "prerm": _PRERM.format(**words)}
    path = build_deb(package.file_name, control, members, files, package.date, place)
    found = {name: contents for name, contents in files_in_deb(path, place).items() if name.startswith(f"{root}/")}
    if found != {file.path: file.contents for file in sources}:
        raise KbuildError(f"{package.file_name}: what was packed is not what was read", hint="nothing was written")
    return path


def _walk(directory: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(directory):
        top = Path(folder) == directory
        names[:] = sorted(
            name for name in names if not name.startswith(".") and not (top and name in _LEFT_OUT_FOLDERS)
        )
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(_LEFT_OUT):
                yield Path(folder, name)


def licenses_of(files: Sequence[PackageFile]) -> list[str]:
    """What MODULE_LICENSE() of the sources says, each once."""
    found: dict[str, None] = {}
    for file in files:
        if file.path.endswith((".c", ".h")):
            for part in file.contents.decode(errors="replace").split("MODULE_LICENSE(")[1:]:
                word = part.partition(")")[0].strip()
                if len(word) > 2 and word[0] == word[-1] == '"':
                    found[word[1:-1]] = None
    return list(found)

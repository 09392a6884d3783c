# SPDX-License-Identifier: GPL-2.0-only
"""Writes a .deb out of a control file, scripts and files, with dpkg-deb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import md5
from pathlib import Path

from kbuildpy.package.format import BuildPlace
from kbuildpy.package.module_package import PackageFile
from kbuildpy.package.payload_tree import write_tree
from kbuildpy.package.tar_stream import files_of
from kbuildpy.run import run

_SCRIPTS = frozenset({"preinst", "postinst", "prerm", "postrm"})


def build_deb(
    name: str,
    control: Mapping[str, str],
    members: Mapping[str, str],
    files: Sequence[PackageFile],
    date: int,
    place: BuildPlace,
) -> Path:
    """Build the package file `name` with the fields `control`, the control files `members`, and `files`. Raises
    `KbuildError` and OSError."""
    # (dpkg counts in KiB, and a directory as one)
    folders = {parent for file in files for parent in Path(file.path).parents}
    size = sum((len(file.contents) + 1023) // 1024 for file in files) + len(folders)
    fields = {**control, "Installed-Size": str(size)}
    order = ("Package", "Version", "Architecture", "Maintainer", "Installed-Size")
    keys = [*order, *(key for key in fields if key not in (*order, "Description")), "Description"]
    text = "".join(f"{key}: {fields[key]}\n" for key in keys if fields.get(key))
    sums = "".join(
        f"{md5(file.contents, usedforsecurity=False).hexdigest()}  {file.path}\n"
        for file in sorted(files, key=lambda file: file.path)
    )
    control_files = [
        PackageFile(f"DEBIAN/{member}", contents.encode(), 0o755 if member in _SCRIPTS else 0o644)
        for member, contents in {"control": text, "md5sums": sums, **members}.items()
    ]
    root = place.scratch / "root"
    write_tree(root, [*files, *control_files], date)
    path = place.scratch / name
    run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--build", root, path], env=place.environ)
    return path


def files_in_deb(path: Path, place: BuildPlace) -> dict[str, bytes]:
    """The files that a package installs, by path. Raises `KbuildError`."""
    archive = run(["dpkg-deb", "--fsys-tarfile", path], env=place.environ).stdout
    return files_of(archive, path.name)

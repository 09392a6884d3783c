# SPDX-License-Identifier: GPL-2.0-only
"""Adds packages to DKMS' tree: by their folder in /usr/src, or by a folder that is copied there."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.package_build import copy_sources, run_script
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.errors import KbuildError
from kbuildpy.exchange import put_in_place, remove_directory, sync_directory, sync_tree


def add_package(places: DkmsPlaces, conf: DkmsConf, name: str, version: str) -> None:
    """Add the package whose sources are in SOURCE_TREE/NAME-VERSION. Raises `KbuildError` with DKMS' exit status."""
    source = places.source_tree / f"{name}-{version}"
    link = places.source(name, version)
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
        sync_directory(link.parent)
    except OSError as error:
        raise KbuildError(f"{error.filename or link}: {error.strerror}", hint="become root") from error
    log = places.state / "scripts.log"
    places.state.mkdir(parents=True, exist_ok=True)
    run_script(conf, "post_add", source, log, {})


def add_without_sources(places: DkmsPlaces, name: str, version: str, conf: Path) -> None:
    """Add a package of which there are only modules, and the dkms.conf `conf`. Raises OSError."""
    source = places.source(name, version)
    source.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(conf, source / "dkms.conf")
    sync_directory(source)


def take_sources(places: DkmsPlaces, conf: DkmsConf, directory: Path, *, force: bool, without: Path | None) -> None:
    """Copy the package in `directory`, but for the folder `without`, to SOURCE_TREE/NAME-VERSION, unless it is there.
    Raises `KbuildError`."""
    target = places.source_tree / f"{conf.name}-{conf.version}"
    if directory.resolve() == target.resolve():
        return
    if target.exists() and not force:
        raise KbuildError(f"{target}: exists already", hint="--force replaces it", status=3)
    beside = target.with_name(f".{target.name}.new~")
    if beside.is_symlink():
        beside.unlink()
    copy_sources(directory, beside, without=without)
    try:
        sync_tree(beside)
        put_in_place(beside, target)
    except OSError as error:
        raise KbuildError(f"{target}: {error.strerror}", hint="what was there stays") from error
    remove_directory(beside)


def same_sources(one: Path, other: Path) -> bool:
    """Whether two folders have the same files, links and folders, but for names with a dot in `other`, which archives
    leave out. Raises OSError."""
    files, others = _listed(one), _listed(other)
    others = {path: kind for path, kind in others.items() if path in files or not path.parts[0].startswith(".")}
    if files != others:
        return False
    regular = [path for path, kind in files.items() if kind.startswith("file")]
    return all(filecmp.cmp(one / path, other / path, shallow=False) for path in regular)


def _listed(folder: Path) -> dict[Path, str]:
    """What is in a folder, and what it is: a link with where it leads, a file with whether it is a program."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            kind = f"link {path.readlink()}"
        elif path.is_file():
            kind = f"file {bool(path.stat().st_mode & 0o111)}"
        else:
            kind = "folder" if path.is_dir() else "other"
        found[path.relative_to(folder)] = kind
    return found

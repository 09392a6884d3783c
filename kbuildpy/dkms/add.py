# SPDX-License-Identifier: GPL-2.0-only
"""Adds packages to DKMS' tree: by their folder in /usr/src, or by a folder that is copied there."""

from __future__ import annotations

import shutil
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.package_build import copy_sources, run_script
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.errors import KbuildError
from kbuildpy.exchange import sync_directory


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
    copy_sources(directory, beside, without=without)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)

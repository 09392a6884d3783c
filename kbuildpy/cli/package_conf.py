# SPDX-License-Identifier: GPL-2.0-only
"""What a dkms.conf tells about a package that is made from its directory: its name and its version."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.errors import KbuildError
from kbuildpy.package.collect import PackageWish
from kbuildpy.package.module_package import PackagedModule
from kbuildpy.package.package_names import is_version
from kbuildpy.printable import printable

CONF = "dkms.conf"


def conf_for(file: Path, release: str, tree: Path) -> DkmsConf:
    """The dkms.conf `file` for the kernel `release`, without this machine's overrides. Raises `KbuildError`."""
    return read_conf(file, ConfKernel(release, os.uname().machine, tree, distribution()))


def wish_with_conf(
    wish: PackageWish, modules: Sequence[PackagedModule], paths: Sequence[Path], release: str, *, quiet: bool
) -> PackageWish:
    """`wish`, with what it leaves open, and the modules do not tell, from the dkms.conf of the directory that they were
    built in, as `paths` say. Prints what was taken from there."""
    no_version = not wish.version and len(_stated_versions(modules)) != 1
    no_name = not wish.name and len({module.name for module in modules}) != 1
    file = _conf_of(paths) if no_version or no_name else None
    if file is None:
        return wish
    try:
        conf = conf_for(file, release, Path("/lib/modules", release, "build"))
    except KbuildError:
        return wish  # (what is missing is asked for, as it is where there is no dkms.conf)
    name = conf.name.lower().replace("_", "-") if no_name else ""
    version = conf.version if no_version and is_version(conf.version) else ""
    taken = [f"{what} {word}" for what, word in (("name", name), ("version", version)) if word]
    if taken and not quiet:
        said = f"{' and '.join(taken)}, as {file} says"
        print(f"kbuildpy: {printable(said)}", file=sys.stderr)
    return replace(wish, name=wish.name or name, version=wish.version or version)


def _stated_versions(modules: Sequence[PackagedModule]) -> set[str]:
    return {value for module in modules for value in module.info.values("version")[:1]}


def _conf_of(paths: Sequence[Path]) -> Path | None:
    """The one dkms.conf of all `paths`: in the directory itself, of a file in its folder, or above its build/."""
    found = {_project_conf(path) for path in paths}
    return found.pop() if len(found) == 1 else None


def _project_conf(path: Path) -> Path | None:
    folder = (path if path.is_dir() else path.parent).absolute()
    above = [folder.parent, folder.parents[1]] if len(folder.parents) > 1 else [folder.parent]
    projects = [folder, *(project for project in above if folder.is_relative_to(project / "build"))]
    return next((project / CONF for project in projects if (project / CONF).is_file()), None)

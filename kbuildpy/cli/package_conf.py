# SPDX-License-Identifier: GPL-2.0-only
"""What a dkms.conf tells about a package that is made from its directory: its name and its version."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.errors import KbuildError
from kbuildpy.package.collect import PackageWish
from kbuildpy.package.module_package import PackagedModule
from kbuildpy.package.package_names import is_package_name, is_version

CONF = "dkms.conf"


def conf_for(file: Path, release: str, tree: Path) -> DkmsConf:
    """The dkms.conf `file` for the kernel `release`, without this machine's overrides. Raises `KbuildError`."""
    return read_conf(file, ConfKernel(release, os.uname().machine, tree, distribution()))


def wish_with_conf(
    wish: PackageWish,
    modules: Sequence[PackagedModule],
    paths: Sequence[Path],
    release: str,
    say: Callable[[str], None],
) -> PackageWish:
    """`wish` for the package of `modules` for one kernel, with what it leaves open, and they do not tell, from the
    dkms.conf of the directory that they were built in, as `paths` say. `say` is told what was taken from there, or why
    nothing was."""
    no_version = not wish.version and len(_stated_versions(modules)) != 1
    no_name = not wish.name and len({module.name for module in modules}) != 1
    file = _conf_of(paths) if no_version or no_name else None
    if file is None:
        return wish
    try:
        conf = conf_for(file, release, Path("/lib/modules", release, "build"))
    except KbuildError as error:
        say(f"{error.message}: its name and version are not used")
        return wish
    name = conf.name.lower().replace("_", "-") if no_name else ""
    version = conf.version if no_version else ""
    taken = {"name": name if is_package_name(name) else "", "version": version if is_version(version) else ""}
    for what, word in (("name", name), ("version", version)):
        if word and not taken[what]:
            say(f"{file}: the {what} {word} is none that all formats can have, and is not used")
    words = [f"{what} {word}" for what, word in taken.items() if word]
    if words:
        say(f"{' and '.join(words)}, as {file} says")
    return replace(wish, name=wish.name or taken["name"], version=wish.version or taken["version"])


def _stated_versions(modules: Sequence[PackagedModule]) -> set[str]:
    return {value for module in modules for value in module.info.values("version")[:1]}


def _conf_of(paths: Sequence[Path]) -> Path | None:
    """The one dkms.conf of all `paths`, which are directories: in the directory itself, or above its build/. None for
    one that another user wrote, because it is run."""
    if not all(path.is_dir() for path in paths):
        return None
    found = {_project_conf(path.absolute()) for path in paths}
    file = found.pop() if len(found) == 1 else None
    return file if file is not None and file.stat().st_uid in (0, os.geteuid()) else None


def _project_conf(folder: Path) -> Path | None:
    above = [folder.parent, folder.parents[1]] if len(folder.parents) > 1 else [folder.parent]
    projects = [folder, *(project for project in above if folder.is_relative_to(project / "build"))]
    return next((project / CONF for project in projects if (project / CONF).is_file()), None)

# SPDX-License-Identifier: GPL-2.0-only
"""Installs and uninstalls what was built of a package: the set of a kernel's modules changes in one step (`switch`)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from kbuildpy.dkms.build import forget_failures
from kbuildpy.dkms.conf import DkmsConf, DkmsModule
from kbuildpy.dkms.package_build import run_script
from kbuildpy.dkms.places import DkmsPlaces, module_file
from kbuildpy.dkms.replaced import forget_replaced, replaced_files
from kbuildpy.dkms.status import installed_file
from kbuildpy.dkms.switch import SetChange, switch
from kbuildpy.dkms.tried import forget_trial
from kbuildpy.dkms.versions import version_key
from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.exchange import sync_tree
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, read_module, walk_modules, without_suffix

Say = Callable[[str], None]


def install_package(
    places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str, *, force: bool, depmod: bool, say: Say
) -> None:
    """Install the built modules of `conf` for a kernel. What the kernel has in the same or a newer version stays,
    unless `force`; `say` is told. Files that are replaced are kept, and come back when the package is uninstalled.

    Raises `KbuildError` with DKMS' exit status; then nothing has changed.
    """
    root = places.install_tree / kernel
    if not root.is_dir():
        raise KbuildError(f"{root}: no such directory", hint="install that kernel first", status=6)
    log = places.built(conf.name, conf.version, kernel, arch) / "log" / "make.log"
    source = places.source(conf.name, conf.version)
    if not run_script(conf, "pre_install", source, log, {}) and not force:
        raise KbuildError(f"{conf.identity}: PRE_INSTALL failed", hint="--force installs all the same", status=101)
    owned = _owned_files(places, conf, kernel, arch)
    files: dict[str, str | None] = dict.fromkeys(owned)
    for module in conf.modules:
        built = module_file(places.built(conf.name, conf.version, kernel, arch) / "module", module.installed_name)
        if built is None:
            raise KbuildError(f"{conf.identity}: {module.installed_name} was not built for {kernel}", status=6)
        own_place = f"{module.destination.strip('/')}/{module.installed_name}"
        if not force and (reason := _why_kept(root, module, built, {*owned, *_names_of(own_place)})):
            say(f"{module.installed_name}: {reason}; --force installs this one")
            continue
        path = f"{module.destination.strip('/')}/{built.name}"
        files[path] = str(built)
        there = module_file(root / module.destination.strip("/"), module.installed_name)
        if there is not None:
            present = str(there.relative_to(root))
            if present not in owned:
                _keep_original(places, conf.name, kernel, arch, there)
            files.setdefault(present, None)
    switch(places, SetChange(kernel, arch, files, {conf.name: conf.version}), depmod=depmod)
    forget_failures(places, conf.name, conf.version, kernel)
    if not run_script(conf, "post_install", source, log, {}):
        say(f"{conf.identity}: POST_INSTALL failed")


def uninstall_package(places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str, *, depmod: bool, say: Say) -> None:
    """Remove the installed modules of `conf` from a kernel, and put back what they replaced. Raises `KbuildError`."""
    files: dict[str, str | None] = dict.fromkeys(_owned_files(places, conf, kernel, arch))
    originals = places.originals(conf.name, kernel, arch)
    for path in map(Path, walk_modules(originals)) if originals.is_dir() else ():
        below = _place_of_original(conf, path)
        if below and (places.install_tree / kernel).is_dir():
            files[f"{below}/{path.name}"] = str(path)
    switch(places, SetChange(kernel, arch, files, {conf.name: None}), depmod=depmod)
    shutil.rmtree(originals, ignore_errors=True)
    for parent in (originals.parent, originals.parent.parent):
        _remove_if_empty(parent)
    source = places.source(conf.name, conf.version)
    if source.is_dir() and not run_script(conf, "post_remove", source, places.state / "scripts.log", {}):
        say(f"{conf.identity}: POST_REMOVE failed")


def unbuild_package(places: DkmsPlaces, name: str, version: str, kernel: str, arch: str) -> None:
    """Remove what was built of a package for a kernel."""
    folder = places.built(name, version, kernel, arch)
    shutil.rmtree(folder, ignore_errors=True)
    _remove_if_empty(folder.parent)
    forget_failures(places, name, version, kernel)
    forget_trial(places, name, version, kernel, arch)
    forget_replaced(places, name, kernel, arch)


def forget_package(places: DkmsPlaces, name: str, version: str) -> bool:
    """Remove a package from DKMS' tree if nothing of it is built; whether it was."""
    if places.kernels(name, version):
        return False
    shutil.rmtree(places.package(name, version), ignore_errors=True)
    forget_failures(places, name, version)
    _remove_if_empty(places.dkms_tree / name)
    return True


def _owned_files(places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str) -> list[str]:
    """The files below /lib/modules/RELEASE that the installed version of the package has there."""
    active = places.active(conf.name, kernel, arch)
    if not active.is_symlink():
        return []
    root, found = places.install_tree / kernel, []
    built = [Path(path) for path in walk_modules(active / "module")] if (active / "module").is_dir() else []
    locations = tuple(
        dict.fromkeys(place for module in conf.modules for place in (module.destination, module.location))
    )
    for name in dict.fromkeys(without_suffix(path.name) for path in built):
        there = installed_file(places, kernel, locations, name)
        if there is not None:
            found.append(str(there.relative_to(root)))
    return list(dict.fromkeys([*found, *replaced_files(places, conf.name, kernel, arch)]))


def _keep_original(places: DkmsPlaces, name: str, kernel: str, arch: str, there: Path) -> None:
    folder = places.originals(name, kernel, arch)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(there, folder / there.name)
        sync_tree(folder)
    except OSError as error:
        raise KbuildError(f"{folder}: {error.strerror}", hint="nothing was installed", status=6) from error


def _place_of_original(conf: DkmsConf, path: Path) -> str:
    name = without_suffix(path.name)
    return next((module.destination.strip("/") for module in conf.modules if module.installed_name == name), "")


def why_obsolete(obsolete_by: str, kernel: str) -> str:
    """Why the modules are no longer needed in a kernel that has them itself ("6.1" or "6.1.0-9"); "" if they are."""
    if not obsolete_by:
        return ""
    theirs, ours = obsolete_by.split("-"), kernel.split("-")
    if version_key(ours[0]) < version_key(theirs[0]):
        return ""
    same = version_key(ours[0]) == version_key(theirs[0])
    if same and len(theirs) > 1 and len(ours) > 1 and version_key(ours[1]) < version_key(theirs[1]):
        return ""
    return f"OBSOLETE_BY={obsolete_by}: the kernel has the modules itself"


def _why_kept(root: Path, module: DkmsModule, built: Path, owned: set[str]) -> str:
    """Why the kernel's own module stays: it is the same, or a newer version; "" if it does not.

    With several of the name DKMS cannot tell, and installs.
    """
    others = [
        Path(path)
        for path in walk_modules(root)
        if without_suffix(Path(path).name) == module.installed_name and str(Path(path).relative_to(root)) not in owned
    ]
    if len(others) != 1:
        return ""
    (theirs, their_source), (ours, our_source) = map(_version, (others[0], built))
    if theirs == ours:
        same = "is this module" if their_source == our_source else f"has the same version ({ours or 'none'})"
        return f"{others[0].relative_to(root)} {same}"
    if theirs and ours and version_key(theirs) > version_key(ours):
        return f"{others[0].relative_to(root)} has a newer version ({theirs}, not {ours})"
    return ""


def _names_of(path: str) -> list[str]:
    return [f"{path}{suffix}" for suffix in MODULE_SUFFIXES]


def _version(path: Path) -> tuple[str, str]:
    try:
        image = ModuleImage(read_module(path), str(path))
    except KbuildError:
        return "", ""
    values = [next(iter(image.modinfo_values(name)), "") for name in ("version", "srcversion")]
    return re.sub(r"\s.*", "", values[0]), values[1]


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return

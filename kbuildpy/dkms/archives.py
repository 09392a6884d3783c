# SPDX-License-Identifier: GPL-2.0-only
"""The actions mktarball and ldtarball: a package of one machine for another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbuildpy.dkms.add import add_without_sources, same_sources, take_sources
from kbuildpy.dkms.machine import DkmsMachine, add, require_added
from kbuildpy.dkms.tarball import Archive, load_kernels, make_archive, opened_archive
from kbuildpy.errors import KbuildError


def mktarball(
    machine: DkmsMachine,
    name: str,
    version: str,
    kernels: Sequence[tuple[str, str]],
    *,
    target: Path | None,
    binaries_only: bool,
) -> None:
    """Write an archive of a package, with what was built for `kernels`. Raises `KbuildError`."""
    require_added(machine, name, version)
    archive = make_archive(
        machine.places, name, version, kernels, conf=machine.conf_file, target=target, binaries_only=binaries_only
    )
    machine.say(f"{name}/{version}: written: {archive}")


def ldtarball(machine: DkmsMachine, archive: Path, kernel: str, arch: str) -> tuple[str, str]:
    """Add the package in an archive, with the modules in it; its name and version. Raises `KbuildError`."""
    with opened_archive(machine.places, archive) as found:
        try:
            return _load(machine, found, kernel, arch)
        except OSError as error:
            raise KbuildError(f"{error.filename}: {error.strerror}", hint="what was loaded so far stays") from error


def _load(machine: DkmsMachine, found: Archive, kernel: str, arch: str) -> tuple[str, str]:
    places = machine.places
    conf = machine.conf_of(found.conf, kernel, arch)
    name, version = conf.name, conf.version
    is_added = (name, version) in places.added(name, version)
    if is_added and not machine.force:
        raise KbuildError(f"{name}/{version}: added already", hint="--force replaces it", status=8)
    for release, machine_name, _ in found.kernels if machine.force else ():
        if places.is_installed(name, version, release, machine_name):
            raise KbuildError(
                f"{name}/{version}: installed for {release}, and the archive has modules for it",
                hint=f"uninstall it first: kbuildpy dkms uninstall {name}/{version} -k {release}/{machine_name}",
                status=8,
            )
    source = places.source_tree / f"{name}-{version}"
    # (the same sources are no reason to refuse, and stay)
    if found.sources is not None and not (source.is_dir() and same_sources(found.sources, source)):
        take_sources(places, conf, found.sources, force=machine.force, without=None)
    if not is_added and source.is_dir():
        add(machine, name, version, kernel, arch)
    elif not is_added:
        add_without_sources(places, name, version, found.conf)
        machine.say(f"{name}/{version}: added, without sources")
    for release in load_kernels(places, name, version, found, force=machine.force):
        machine.say(f"{name}/{version}: is built for {release} already; --force replaces that")
    return name, version

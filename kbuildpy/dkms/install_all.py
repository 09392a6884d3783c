# SPDX-License-Identifier: GPL-2.0-only
"""Installs several packages for a kernel, each after those that it depends on (BUILD_DEPENDS).

Packages that do not wait for each other are built side by side, each in processes of its own. What changes the machine
is done by the calling thread, one package after the other: each installation is one step, and a kill between two of
them leaves whole packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kbuildpy.dkms.build import EXCLUDED, PackageBuild, build_package
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.machine import FAILED, DkmsMachine, install, prepare_build, refuse_obsolete, status
from kbuildpy.dkms.status import is_built
from kbuildpy.dkms.versions import version_key
from kbuildpy.errors import KbuildError
from kbuildpy.parallel import in_threads


@dataclass(frozen=True)
class _Turn:
    """A package whose turn has come."""

    conf: DkmsConf
    again: bool
    """Whether it is built and installed also where it is."""
    build: PackageBuild | None
    """None where it is built already."""


def match(machine: DkmsMachine, template: str, kernel: str, arch: str, *, name: str = "") -> int:
    """Install for `kernel` what is installed for the kernel `template`; the exit status."""
    if template == kernel:
        raise KbuildError(f"--templatekernel={template} and -k name the same kernel", status=2)
    wanted = [item for item in status(machine, name=name, kernel=template, arch=arch) if item.state == "installed"]
    if not wanted:
        machine.say(f"nothing is installed for {template}")
    return _install_all(machine, [(item.name, item.version) for item in wanted], kernel, arch)


def autoinstall(machine: DkmsMachine, kernel: str, arch: str) -> int:
    """Install for a kernel the newest version of each package that wants it (AUTOINSTALL); the exit status."""
    wanted: dict[str, str] = {}
    failed = 0
    for name, version in machine.places.added():
        try:
            conf = machine.conf(name, version, kernel, arch)
        except KbuildError as error:
            machine.say(f"kbuildpy: error: {name}/{version}: {error}")
            failed = FAILED
            continue
        if conf.autoinstall and version_key(version) > version_key(wanted.get(name, "")):
            wanted[name] = version
    return max(failed, _install_all(machine, list(wanted.items()), kernel, arch))


def _install_all(machine: DkmsMachine, packages: Sequence[tuple[str, str]], kernel: str, arch: str) -> int:
    """Install `packages`; the exit status. One that fails is told, and keeps back only those that need it."""
    places = machine.places
    waiting = {name: machine.named_conf(name, version, kernel, arch) for name, version in packages}
    done = {name for name, version in places.added() if places.is_installed(name, version, kernel, arch)}
    changed: set[str] = set()
    failed = False
    while ready := [name for name, conf in waiting.items() if _is_ready(conf, done, waiting)]:
        confs = [waiting.pop(name) for name in ready]
        before = {conf.name for conf in confs if places.is_installed(conf.name, conf.version, kernel, arch)}
        for turn, error in _built(machine, confs, changed, kernel, arch):
            conf = turn.conf
            try:
                if error is not None:
                    raise error
                install(replace(machine, force=True) if turn.again else machine, conf.name, conf.version, kernel, arch)
                done.add(conf.name)
                if turn.again or conf.name not in before:
                    changed.add(conf.name)
            except KbuildError as reason:
                failed = _tell(machine, conf, reason) or failed
    for name, conf in waiting.items():
        missing = ", ".join(sorted({*conf.depends} - done or {*conf.depends}))
        machine.say(f"kbuildpy: error: {name}/{conf.version}: not built: it needs {missing} (BUILD_DEPENDS)")
        failed = True
    return FAILED if failed else 0


def _built(
    machine: DkmsMachine, confs: Sequence[DkmsConf], changed: set[str], kernel: str, arch: str
) -> Iterable[tuple[_Turn, KbuildError | None]]:
    """Each of the packages when it is built, with the error where it is not."""
    places = machine.places
    turns: list[_Turn] = []
    for conf in confs:
        again = conf.depends_rebuild and (
            places.failed(conf.name, conf.version, kernel, arch).is_dir() or not changed.isdisjoint(conf.depends)
        )
        is_there = is_built(places, conf, kernel, arch) or places.is_installed(conf.name, conf.version, kernel, arch)
        chosen = replace(machine, force=True) if again else machine
        try:
            if is_there and not again:
                turns.append(_Turn(conf, False, None))
            else:
                refuse_obsolete(machine, conf, kernel)
                turns.append(_Turn(conf, again, prepare_build(chosen, conf.name, conf.version, kernel, arch)))
        except KbuildError as error:
            yield _Turn(conf, False, None), error
    yield from ((turn, None) for turn in turns if turn.build is None)
    builds = [(turn, turn.build) for turn in turns if turn.build is not None]
    side_by_side = max(1, min(machine.jobs, len(builds)))
    sharing = [(turn, replace(each, jobs=max(1, machine.jobs // side_by_side))) for turn, each in builds]
    yield from in_threads(_build, sharing, jobs=side_by_side) if len(sharing) > 1 else map(_build, sharing)


def _build(item: tuple[_Turn, PackageBuild]) -> tuple[_Turn, KbuildError | None]:
    turn, build = item
    try:
        build_package(build)
    except KbuildError as error:
        return turn, error
    return turn, None


def _tell(machine: DkmsMachine, conf: DkmsConf, reason: KbuildError) -> bool:
    """Tell why a package is not installed; whether it is a failure."""
    if reason.status == EXCLUDED:
        machine.say(f"{conf.identity}: left out: {reason.message}")
        return False
    machine.say(f"kbuildpy: error: {reason}")
    return True


def _is_ready(conf: DkmsConf, done: set[str], waiting: Mapping[str, DkmsConf]) -> bool:
    """Whether all that a package depends on is installed, and will not change."""
    return {*conf.depends} <= done and waiting.keys().isdisjoint(conf.depends)

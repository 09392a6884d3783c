# SPDX-License-Identifier: GPL-2.0-only
"""What a machine has of its packages: added, built, installed, failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.places import DkmsPlaces, module_file
from kbuildpy.dkms.tried import was_tried
from kbuildpy.errors import KbuildError

ConfFor = Callable[[str, str, str, str], DkmsConf]
"""The dkms.conf of a package (name, version) for a kernel (release, architecture); raises `KbuildError`."""


@dataclass(frozen=True)
class DkmsStatus:
    """A line of `status`."""

    name: str
    version: str
    state: str
    """`added`, `built`, `installed`, `failed` (its last build), or `broken` (its dkms.conf cannot be read)."""
    kernel: str = ""
    """The kernel's release; "" for a package that was added and is built for none."""
    arch: str = ""
    remarks: tuple[str, ...] = ()
    """What is unusual, each a sentence without its stop."""
    log: Path | None = None
    """Of a failed build what it printed."""
    tried: bool = False
    """Whether its modules ran in QEMU before they counted as built."""

    def __str__(self) -> str:
        """The line that DKMS prints, which scripts read."""
        where = f", {self.kernel}, {self.arch}" if self.kernel else ""
        notes = "".join(f" ({remark})" for remark in self.remarks)
        return f"{self.name}/{self.version}{where}: {self.state}{notes}"


def statuses(
    places: DkmsPlaces, conf_for: ConfFor, *, name: str = "", version: str = "", kernel: str = "", arch: str = ""
) -> list[DkmsStatus]:
    """The status of the packages, and for the kernels, that these words name ("" for all)."""
    found: list[DkmsStatus] = []
    for package in places.added(name, version):
        kernels = [each for each in places.kernels(*package) if kernel in ("", each[0]) and arch in ("", each[1])]
        built = [item for each in kernels if (item := _built(places, conf_for, *package, *each))]
        found += built or [DkmsStatus(*package, "added")]
        found += _failed(places, *package, kernel=kernel, arch=arch)
    return found


def is_built(places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str) -> bool:
    """Whether each module of a package was built for a kernel."""
    folder = places.built(conf.name, conf.version, kernel, arch) / "module"
    return folder.is_dir() and all(module_file(folder, module.installed_name) for module in conf.modules)


def installed_file(places: DkmsPlaces, kernel: str, locations: tuple[str, ...], name: str) -> Path | None:
    """The installed file of a module: in the first of these folders of the kernel that has it."""
    for location in dict.fromkeys(locations):
        if found := module_file(places.install_tree / kernel / location.strip("/"), name):
            return found
    return None


def _built(places: DkmsPlaces, conf_for: ConfFor, name: str, version: str, kernel: str, arch: str) -> DkmsStatus | None:
    folder = places.built(name, version, kernel, arch) / "module"
    if not folder.is_dir():
        return None
    try:
        conf = conf_for(name, version, kernel, arch)
    except KbuildError as error:
        return DkmsStatus(name, version, "broken", kernel, arch, (error.message,))
    if not is_built(places, conf, kernel, arch):
        return None
    installed = places.is_installed(name, version, kernel, arch)
    remarks = []
    if places.originals(name, kernel, arch).is_dir():
        remarks.append("original_module exists")
    for module in conf.modules if installed else ():
        there = installed_file(places, kernel, (module.destination, module.location), module.installed_name)
        built = module_file(folder, module.installed_name)
        if there is None or built is None or there.read_bytes() != built.read_bytes():
            remarks.append("WARNING! Diff between built and installed module!")
    tried = was_tried(places, name, version, kernel, arch)
    return DkmsStatus(name, version, "installed" if installed else "built", kernel, arch, tuple(remarks), tried=tried)


def _failed(places: DkmsPlaces, name: str, version: str, *, kernel: str, arch: str) -> list[DkmsStatus]:
    found = []
    folder = places.state / "failed" / name / version
    for log in sorted(folder.glob("*/*/make.log")):
        release, machine = log.parent.parent.name, log.parent.name
        if kernel in ("", release) and arch in ("", machine):
            found.append(DkmsStatus(name, version, "failed", release, machine, (f"see {log}",), log))
    return found

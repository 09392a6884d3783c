# SPDX-License-Identifier: GPL-2.0-only
"""The actions of `dkms` on a machine, and rollback, which DKMS does not have.

Exit statuses are DKMS', where scripts depend on them: 77 for a kernel that a package is not for, 10 for a build that
fails, 3 for what is there already or is not, 11 for an autoinstall of which something failed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from kbuildpy.dkms.add import add_package, take_sources
from kbuildpy.dkms.build import EXCLUDED, PackageBuild, Sign, build_package, forget_failures
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.directives import FRAMEWORK
from kbuildpy.dkms.evaluate import evaluate
from kbuildpy.dkms.install import (
    forget_package,
    install_package,
    unbuild_package,
    uninstall_package,
    why_obsolete,
)
from kbuildpy.dkms.machine_key import machine_signer
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.dkms.read_conf import ConfKernel, check_name, read_conf
from kbuildpy.dkms.status import DkmsStatus, is_built, statuses
from kbuildpy.dkms.switch import finish, linked_version, roll_back
from kbuildpy.dkms.tried import try_built
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.signing.trailer import append_signature
from kbuildpy.similar import similar_file

FAILED = 11
"""The exit status where something failed and the rest was done."""
_MODULES = Path("/lib/modules")


@dataclass(frozen=True)
class DkmsMachine:
    """A machine with its packages, and how the call wants them treated."""

    places: DkmsPlaces
    distribution: str
    settings: Mapping[str, str]
    """What framework.conf sets."""
    jobs: int
    say: Callable[[str], None]
    force: bool = False
    is_tried: bool = False
    """Whether modules are loaded in QEMU before they are installed."""
    depmod: bool = True
    conf_file: Path | None = None
    """The dkms.conf to use in place of the package's."""
    kernel_source: Path | None = None
    """The kernel tree to use in place of /lib/modules/RELEASE/build."""
    directives: Mapping[str, str] | None = None
    """Directives that come after those of the files."""
    signing: Lock = field(default_factory=Lock)
    """Held while something is signed: a token takes one session at a time."""

    def conf(self, name: str, version: str, kernel: str, arch: str) -> DkmsConf:
        """The dkms.conf of a package for a kernel. Raises `KbuildError`."""
        file = self.conf_file or self.places.conf(name, version)
        return self.conf_of(file, kernel, arch, name=name, version=version)

    def named_conf(self, name: str, version: str, kernel: str, arch: str) -> DkmsConf:
        """The same by the name that the package was added by, which its folders have."""
        return replace(self.conf(name, version, kernel, arch), name=name, version=version)

    def conf_of(self, file: Path, kernel: str, arch: str, *, name: str = "", version: str = "") -> DkmsConf:
        """What the file says for a kernel. Raises `KbuildError` with DKMS' status for a bad one."""
        places = self.places
        about = ConfKernel(
            kernel,
            arch,
            self.tree_path(kernel),
            self.distribution,
            places.dkms_tree,
            places.source_tree,
            places.install_tree,
        )
        try:
            return read_conf(file, about, name=name, version=version, etc=places.etc, directives=self.directives)
        except KbuildError as error:
            raise KbuildError(error.message, hint=error.hint, status=8) from error

    def tree_path(self, kernel: str) -> Path:
        """Where the kernel tree of a release is, if it is there."""
        return self.kernel_source or _MODULES / kernel / "build"

    def tree(self, kernel: str) -> KernelTree:
        """The kernel tree of a release. Raises `KbuildError`."""
        try:
            tree = open_tree(self.tree_path(kernel))
        except KbuildError as error:
            raise KbuildError(
                f"no headers for kernel {kernel}: {error.message}",
                hint=f"install the package linux-headers-{kernel}, or name a tree: --kernelsourcedir=DIR",
            ) from error
        if tree.release != kernel:
            raise KbuildError(
                f"{tree.objects} is the tree of {tree.release}, not of {kernel}",
                hint="name the right tree with --kernelsourcedir=DIR",
            )
        return tree


def framework_settings(etc: Path) -> dict[str, str]:
    """What framework.conf and framework.conf.d/*.conf set. Raises `KbuildError`."""
    files = [etc / "framework.conf", *sorted((etc / "framework.conf.d").glob("*.conf"))]
    files = [file for file in files if file.is_file()]
    if not files:
        return {}
    values = evaluate(files, FRAMEWORK, {})
    return {name: values.first(name) for name in FRAMEWORK if values.first(name)}


def status(
    machine: DkmsMachine, *, name: str = "", version: str = "", kernel: str = "", arch: str = ""
) -> list[DkmsStatus]:
    """The status of the packages and kernels that these words name ("" for all)."""
    return statuses(machine.places, machine.conf, name=name, version=version, kernel=kernel, arch=arch)


def add(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> None:
    """Add a package, whose sources are in SOURCE_TREE/NAME-VERSION. Raises `KbuildError`."""
    places = machine.places
    _check(name, version)
    if (name, version) in places.added(name, version):
        raise KbuildError(f"{name}/{version}: added already", hint="kbuildpy dkms status", status=3)
    source = places.source_tree / f"{name}-{version}"
    if not source.is_dir():
        belong = "the sources of the package belong there: kbuildpy dkms add DIRECTORY puts them there"
        hint = similar_file(source) or belong
        raise KbuildError(f"{source}: no such directory", hint=hint, status=2)
    conf = machine.conf_of(machine.conf_file or source / "dkms.conf", kernel, arch, name=name, version=version)
    if (conf.name, conf.version) != (name, version):
        machine.say(f"kbuildpy: note: the dkms.conf of {name}/{version} calls it {conf.identity}")
    for unknown in conf.unknown:
        machine.say(f"kbuildpy: note: {source}/dkms.conf: {unknown} is no directive, and nothing reads it")
    for deprecated in conf.deprecated:
        machine.say(f"kbuildpy: note: {source}/dkms.conf: {deprecated} means nothing to DKMS since 3.0")
    add_package(places, conf, name, version)
    machine.say(f"{name}/{version}: added")


def add_directory(machine: DkmsMachine, directory: Path, kernel: str, arch: str) -> tuple[str, str]:
    """Copy the package in `directory` to SOURCE_TREE, for `add`; its name and version. Raises `KbuildError`."""
    conf = machine.conf_of(directory / "dkms.conf", kernel, arch)
    take_sources(machine.places, conf, directory, force=machine.force, without=directory / "build")
    return conf.name, conf.version


def build(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> None:
    """Build a package for a kernel; add it if it is not. Raises `KbuildError`."""
    if prepared := prepare_build(machine, name, version, kernel, arch):
        build_package(prepared)
        machine.say(f"{name}/{version}: built for {kernel} ({arch})")


def prepare_build(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> PackageBuild | None:
    """The build that the package needs for a kernel, None if it is built; the package is added if it is not. Raises
    `KbuildError`."""
    places = machine.places
    _check(name, version)
    if (name, version) not in places.added(name, version):
        add(machine, name, version, kernel, arch)
    conf = machine.named_conf(name, version, kernel, arch)
    if is_built(places, conf, kernel, arch):
        if not machine.force:
            machine.say(f"{name}/{version}: built already for {kernel} ({arch}); --force builds it again")
            return None
        if places.is_installed(name, version, kernel, arch):
            # (what is installed stays until the new modules are)
            machine.say(f"{name}/{version}: is installed for {kernel}: install it again after the build")
    if conf.excluded:
        raise KbuildError(
            f"{name}/{version} is not for {kernel}: {conf.excluded}",
            hint="its dkms.conf says so (BUILD_EXCLUSIVE_...)",
            status=EXCLUDED,
        )
    tree = machine.tree(kernel)
    machine.say(f"{name}/{version}: building for {kernel} ({arch})")
    sign = _sign(machine, conf, tree)
    needs = needed_packages(machine, conf, kernel, arch)
    return PackageBuild(places, conf, tree, kernel, arch, machine.jobs, sign, needs=needs, is_tried=machine.is_tried)


def install(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> None:
    """Install a package for a kernel; build it if it is not. Raises `KbuildError`."""
    places = machine.places
    _check(name, version)
    if not machine.force and places.is_installed(name, version, kernel, arch):
        again = "not tried: --try --force tries and installs it" if machine.is_tried else "--force installs it again"
        machine.say(f"{name}/{version}: installed already for {kernel} ({arch}); {again}")
        return
    if (name, version) not in places.added(name, version):
        add(machine, name, version, kernel, arch)
    conf = machine.named_conf(name, version, kernel, arch)
    refuse_obsolete(machine, conf, kernel)
    if not is_built(places, conf, kernel, arch):
        build(machine, name, version, kernel, arch)
    elif machine.is_tried:
        needs = needed_packages(machine, conf, kernel, arch)
        try_built(places, conf, machine.tree(kernel), kernel, arch, needs=needs)
    install_package(places, conf, kernel, arch, force=machine.force, depmod=machine.depmod, say=machine.say)
    if places.is_installed(name, version, kernel, arch):
        machine.say(f"{name}/{version}: installed for {kernel} ({arch})")


def refuse_obsolete(machine: DkmsMachine, conf: DkmsConf, kernel: str) -> None:
    """Raise `KbuildError` for a package whose modules the kernel has itself: it would be built and not installed."""
    if not machine.force and (reason := why_obsolete(conf.obsolete_by, kernel)):
        raise KbuildError(
            f"{conf.identity} is not for {kernel}: {reason}", hint="--force installs it all the same", status=EXCLUDED
        )


def needed_packages(machine: DkmsMachine, conf: DkmsConf, kernel: str, arch: str) -> tuple[str, ...]:
    """The packages that a package depends on (BUILD_DEPENDS), and those that these do where they are installed for the
    kernel. One whose dkms.conf cannot be read counts without those that it needs."""
    # (what the call says of the package is not said of the others)
    others = replace(machine, conf_file=None, directives=None)
    found: dict[str, None] = {}
    ahead = list(reversed(conf.depends))
    while ahead:
        name = ahead.pop()
        if name in found or name == conf.name:
            continue
        found[name] = None
        version = linked_version(machine.places, name, kernel, arch)
        if version is not None:
            with suppress(KbuildError):
                ahead += reversed(others.conf(name, version, kernel, arch).depends)
    return tuple(found)


def uninstall(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> None:
    """Uninstall a package from a kernel. Raises `KbuildError`."""
    require_added(machine, name, version)
    places = machine.places
    if not places.is_installed(name, version, kernel, arch):
        built = places.kernels(name, version)
        others = [other for other, its in built if places.is_installed(name, version, other, its)]
        where = f"; it is installed for {', '.join(others)}: -k, or --all" if others else ""
        machine.say(f"{name}/{version}: not installed for {kernel} ({arch}){where}")
        return
    conf = machine.named_conf(name, version, kernel, arch)
    uninstall_package(machine.places, conf, kernel, arch, depmod=machine.depmod, say=machine.say)
    machine.say(f"{name}/{version}: uninstalled from {kernel} ({arch})")


def unbuild(machine: DkmsMachine, name: str, version: str, kernel: str, arch: str) -> None:
    """Uninstall a package from a kernel, and remove what was built for it. Raises `KbuildError`."""
    uninstall(machine, name, version, kernel, arch)
    was_built = (kernel, arch) in machine.places.kernels(name, version)
    unbuild_package(machine.places, name, version, kernel, arch)
    if was_built:
        machine.say(f"{name}/{version}: what was built for {kernel} ({arch}) is removed")


def unbuild_all(machine: DkmsMachine, kernel: str, arch: str) -> int:
    """The same for all packages, for a kernel that is removed; the exit status."""
    failed = 0
    for name, version in machine.places.added():
        if (kernel, arch) in machine.places.kernels(name, version):
            try:
                unbuild(machine, name, version, kernel, arch)
            except KbuildError as error:
                machine.say(f"kbuildpy: error: {name}/{version}: {error}")
                failed = FAILED
        else:
            forget_failures(machine.places, name, version, kernel)
    return failed


def remove(machine: DkmsMachine, name: str, version: str, kernels: Sequence[tuple[str, str]]) -> None:
    """The same for several kernels; a package that is then built for none is forgotten. Raises `KbuildError`."""
    require_added(machine, name, version)
    for kernel, arch in kernels:
        unbuild(machine, name, version, kernel, arch)
    if forget_package(machine.places, name, version):
        machine.say(f"{name}/{version}: removed")


def rollback(machine: DkmsMachine, kernel: str) -> None:
    """Take the last change of the modules of a kernel back. Raises `KbuildError`."""
    for name, version in roll_back(machine.places, kernel, depmod=machine.depmod).items():
        now = f"{version} is installed" if version else "is not installed"
        machine.say(f"{name}: {now} for {kernel}, as before the last change")


def finish_begun(machine: DkmsMachine) -> None:
    """Finish what a process that was killed has begun, and remove what it left. Raises `KbuildError`."""
    for path in machine.places.state.glob("stage-*"):
        shutil.rmtree(path, ignore_errors=True)
    for kernel in finish(machine.places, depmod=machine.depmod):
        machine.say(f"kbuildpy: finished the change of the modules of {kernel} that was begun before")


def _sign(machine: DkmsMachine, conf: DkmsConf, tree: KernelTree) -> Sign:
    """Signs as this machine does; its key is made if it has none."""
    own = {"mok_signing_key": conf.mok_signing_key, "mok_certificate": conf.mok_certificate}
    settings = {**machine.settings, **{name: value for name, value in own.items() if value}}
    signer, made = machine_signer(machine.places, settings, kernel_hash=signing_policy_of(tree).hash)
    if made:
        certificate = machine.places.dkms_tree / "mok.pub"
        machine.say(f"kbuildpy: made the key of this machine; Secure Boot learns it by: mokutil --import {certificate}")

    def sign(module: bytes) -> bytes:
        with machine.signing:
            return append_signature(module, signer.detached(module))

    return sign


def _check(name: str, version: str) -> None:
    for word, what in ((name, "name"), (version, "version")):
        check_name(word, what, "kbuildpy dkms")


def require_added(machine: DkmsMachine, name: str, version: str) -> None:
    """Raise `KbuildError` for a package that was not added."""
    _check(name, version)
    if (name, version) not in machine.places.added(name, version):
        raise KbuildError(f"{name}/{version}: not in {machine.places.dkms_tree}", hint="kbuildpy dkms status", status=3)

# SPDX-License-Identifier: GPL-2.0-only
"""Reads a dkms.conf and its overrides in /etc/dkms for one kernel, and refuses what DKMS refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf, DkmsModule
from kbuildpy.dkms.destination import destination
from kbuildpy.dkms.directives import CONF, DEPRECATED, unknown_directives
from kbuildpy.dkms.evaluate import ConfValues, evaluate
from kbuildpy.dkms.exclusive import why_excluded
from kbuildpy.errors import KbuildError
from kbuildpy.files import read_limited
from kbuildpy.printable import printable

_LARGEST = 1 << 20
_NAME = re.compile(r"[^\W_][\w.+~:-]*", re.ASCII)
_PLACES = ("/kernel", "/updates", "/extra")


@dataclass(frozen=True)
class ConfKernel:
    """The kernel that a dkms.conf is evaluated for, and the paths that it sees."""

    release: str
    """`kernelver`"""
    arch: str
    """The machine's name, as `uname -m` has it."""
    tree: Path
    """`kernel_source_dir`: where the kernel tree is, if it is there."""
    distribution: str
    """`destination.distribution()`"""
    dkms_tree: Path = Path("/var/lib/dkms")
    source_tree: Path = Path("/usr/src")
    install_tree: Path = Path("/lib/modules")

    def variables(self, name: str, version: str) -> dict[str, str]:
        """What the dkms.conf of a package sees."""
        return {
            "module": name,
            "module_version": version,
            "kernelver": self.release,
            "arch": self.arch,
            "kernel_source_dir": str(self.tree),
            "kernel_config": f"{self.tree}/.config",
            "dkms_tree": str(self.dkms_tree),
            "source_tree": str(self.source_tree),
            "install_tree": str(self.install_tree),
            "tmp_location": "/tmp",
            "running_distribution": self.distribution,
            "current_os": "Linux",
        }


def read_conf(
    file: Path,
    kernel: ConfKernel,
    *,
    name: str = "",
    version: str = "",
    etc: Path = Path("/etc/dkms"),
    directives: Mapping[str, str] | None = None,
) -> DkmsConf:
    """What the dkms.conf `file` says for `kernel`.

    `name` and `version` are those that the package was added by, if it was: they choose the overrides in `etc`.
    `directives` are those of the command line, which come last. Raises `KbuildError` for a file that cannot be
    evaluated, and for what DKMS takes no module from.
    """
    file = file.absolute()
    try:
        text = read_limited(file, _LARGEST).decode(errors="replace")
    except OSError as error:
        raise KbuildError(f"{file}: {error.strerror}", hint="a package of DKMS has a file dkms.conf") from error
    overrides = [etc / f"{part}.conf" for part in _overrides(kernel, name, version)] if name else []
    files = [file, *(path for path in overrides if path.is_file())]
    evaluation = evaluate(files, CONF, kernel.variables(name, version))
    if directives:
        given = {key: {0: value} for key, value in directives.items()}
        evaluation = ConfValues({**evaluation.values, **given}, evaluation.matches, evaluation.said)
    return _conf_of(evaluation, file, kernel, unknown_directives(text))


def check_name(word: str, what: str, where: object) -> str:
    """`word`, the name or the version of a package: it becomes part of paths. Raises `KbuildError`."""
    if not _NAME.fullmatch(word):
        raise KbuildError(
            f"{where}: {what} {printable(word)!r} is no name for a folder",
            hint="it begins with a letter or a digit, and has letters, digits and . _ + ~ : -",
        )
    return word


def _overrides(kernel: ConfKernel, name: str, version: str) -> Sequence[str]:
    package = f"{name}-{version}"
    return (name, package, f"{package}-{kernel.release}", f"{package}-{kernel.release}-{kernel.arch}")


def _conf_of(conf: ConfValues, file: Path, kernel: ConfKernel, unknown: tuple[str, ...]) -> DkmsConf:
    def value(directive: str) -> str:
        return conf.first(directive)

    for directive in ("PACKAGE_NAME", "PACKAGE_VERSION"):
        if not value(directive):
            raise KbuildError(f"{file}: no {directive}", hint=f'the file must set it: {directive}="..."')
        check_name(value(directive), directive, file)
    return DkmsConf(
        name=value("PACKAGE_NAME"),
        version=value("PACKAGE_VERSION"),
        modules=_modules(conf, file, kernel.distribution),
        make=_make(conf),
        clean=value("CLEAN"),
        pre_build=value("PRE_BUILD"),
        post_build=value("POST_BUILD"),
        post_add=value("POST_ADD"),
        pre_install=value("PRE_INSTALL"),
        post_install=value("POST_INSTALL"),
        post_remove=value("POST_REMOVE"),
        patches=_patches(conf, file),
        depends=tuple(name for text in conf.values.get("BUILD_DEPENDS", {}).values() for name in text.split()),
        depends_rebuild=bool(value("BUILD_DEPENDS_REBUILD")),
        obsolete_by=value("OBSOLETE_BY"),
        autoinstall=bool(value("AUTOINSTALL")),
        no_weak_modules=bool(value("NO_WEAK_MODULES")),
        excluded=why_excluded(conf, kernel=kernel.release, arch=kernel.arch, tree=kernel.tree),
        sign_file=value("SIGN_FILE"),
        mok_signing_key=value("MOK_SIGNING_KEY"),
        mok_certificate=value("MOK_CERTIFICATE"),
        deprecated=tuple(name for name in DEPRECATED if any(conf.values.get(name, {}).values())),
        unknown=unknown,
        said=conf.said,
    )


def _modules(conf: ConfValues, file: Path, distribution: str) -> tuple[DkmsModule, ...]:
    lists = {
        name: conf.values.get(name, {})
        for name in ("BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION")
    }
    # (as DKMS counts: of a list with gaps, the last ones are not seen)
    count = max(map(len, lists.values()))
    if not count:
        raise KbuildError(f"{file}: no DEST_MODULE_LOCATION", hint='for example DEST_MODULE_LOCATION[0]="/updates"')
    strip: dict[int, bool] = {}
    found = []
    for index in range(count):
        built, below, installed, location = (values.get(index, "") for values in lists.values())
        if not built and len(lists["DEST_MODULE_LOCATION"]) == 1:
            built = conf.first("PACKAGE_NAME")
        installed = installed or built
        stated = conf.values.get("STRIP", {}).get(index, "")
        strip[index] = not stated.startswith(("n", "N")) if stated else strip.get(0, True)
        _check_module(file, index, built, below, installed, location)
        below = f"{below}/" if below and not below.endswith("/") else below
        found.append(DkmsModule(built, below, installed, location, destination(location, distribution), strip[index]))
    return tuple(found)


def _check_module(file: Path, index: int, built: str, below: str, installed: str, location: str) -> None:
    """Refuse a module without a name or a place, and paths that lead out of the build or of /lib/modules/RELEASE."""
    if not built:
        raise KbuildError(f"{file}: no BUILT_MODULE_NAME[{index}]", hint="it names the module's file, without .ko")
    for directive, word in (("BUILT_MODULE_NAME", built), ("DEST_MODULE_NAME", installed)):
        if word.endswith((".o", ".ko")):
            raise KbuildError(f"{file}: {directive}[{index}]={printable(word)} has a suffix", hint="leave out .ko")
        if not _NAME.fullmatch(word):
            raise KbuildError(
                f"{file}: {directive}[{index}]={printable(word)} is no name of a module",
                hint="folders are named by BUILT_MODULE_LOCATION and DEST_MODULE_LOCATION",
            )
    if not location.startswith(_PLACES) or not _stays_below(location.lstrip("/")):
        raise KbuildError(
            f"{file}: DEST_MODULE_LOCATION[{index}]={printable(location)} is no place for modules",
            hint=f"it begins with {', '.join(_PLACES[:-1])} or {_PLACES[-1]}",
        )
    if below.startswith("/") or not _stays_below(below):
        raise KbuildError(
            f"{file}: BUILT_MODULE_LOCATION[{index}]={printable(below)} leads out of the sources",
            hint="it is a folder of the package, below that of dkms.conf",
        )


def _stays_below(path: str) -> bool:
    return path.isprintable() and ".." not in path.split("/")


def _make(conf: ConfValues) -> str:
    """The command of MAKE for this kernel: the last one whose MAKE_MATCH matches; the first one where nothing has to.

    Where MAKE_MATCH[0] is set and nothing matches, the build is Kbuild's.
    """
    commands = conf.values.get("MAKE", {})
    chosen = commands.get(0, "") if not conf.values.get("MAKE_MATCH", {}).get(0) else ""
    for index in range(len(commands)):
        if commands.get(index) and conf.values.get("MAKE_MATCH", {}).get(index) and conf.matches["MAKE_MATCH", index]:
            chosen = commands[index]
    return chosen


def _patches(conf: ConfValues, file: Path) -> tuple[str, ...]:
    patches = conf.values.get("PATCH", {})
    found = []
    for index in range(len(patches)):
        name = patches.get(index, "")
        wanted = conf.values.get("PATCH_MATCH", {}).get(index, "")
        if not name or (wanted and not conf.matches["PATCH_MATCH", index]):
            continue
        if name.startswith("/") or not _stays_below(name):
            raise KbuildError(f"{file}: PATCH[{index}]={printable(name)} leads out of the folder `patches`")
        found.append(name)
    return tuple(found)

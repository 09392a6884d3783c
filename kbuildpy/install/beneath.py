# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is written outside of the root that modules are installed below.

The meaning is that of openat2(2) with RESOLVE_BENEATH: a link that is absolute, or a `..` that climbs above the root,
leads out. What follows is looked at before anything is written; who can change the root meanwhile can do all that the
one who installs can.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.installing import InstallRules

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)


def check_places(names: Iterable[str], rules: InstallRules, root: str) -> list[str]:
    """Look whether the modules `names` can be installed below `root` ("" for the running system, which nothing leads
    out of); what is to be said of their places.

    Make takes a name with `..` (`obj-m := ../common/a.o`) and installs that module beside the directory which was asked
    for; so it is here, as long as it stays in lib/modules/RELEASE. Raises `UsageError` for an INSTALL_MOD_DIR that
    leads out of `root`, `KbuildError` for a name or a link that does.
    """
    folder = posixpath.normpath(rules.directory)
    walked: list[str] = []
    if root:
        _check_climb(rules.directory, f"INSTALL_MOD_DIR={rules.folder}", root)
        walked = _follow(rules.directory, root)
    said = []
    for name in names:
        place = posixpath.normpath(f"{folder}/{name}{rules.suffix}")
        beside = not place.startswith(f"{folder}/")
        if beside and not place.startswith(f"{posixpath.normpath(rules.modlib)}/"):
            raise KbuildError(
                f"{name}: it would be installed as {place}, outside of {rules.modlib}",
                hint="the modules.order that names it was not made by a build of modules: build again",
            )
        if root:
            _follow(f"{name}{rules.suffix}", root, walked)
        if beside:
            said.append(f"{name}: it is installed as {root}{place}, as by make")
    return said


def check_index(rules: InstallRules, root: str) -> None:
    """The same for what depmod writes in lib/modules/RELEASE. Raises `KbuildError`."""
    if root:
        _follow(f"{rules.modlib}/modules.dep", root)


def _check_climb(path: str, what: str, root: str) -> None:
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            raise UsageError(
                f"{what} leads out of {root}", hint="name a directory below lib/modules/RELEASE, or another --root"
            )


def _follow(path: str, root: str, start: Sequence[str] = ()) -> list[str]:
    """Follow `path` as the kernel would, from the folders `start` below `root`; the folders where it leads. What is no
    link, or cannot be looked at, leads nowhere else; what is wrong with it, writing there tells."""
    walked = [*start]
    rest = path.split("/")
    links = 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not walked:
                raise _leads_out(path, root, start)
            walked.pop()
            continue
        entry = Path(root, *walked, part)
        try:
            target = os.fspath(entry.readlink())
        except OSError:
            walked.append(part)
            continue
        links += 1
        if target.startswith("/") or links > _LINKS:
            raise _leads_out(path, root, start, f"{entry} is a link to {target}")
        rest = [*target.split("/"), *rest]
    return walked


def _leads_out(path: str, root: str, start: Sequence[str], why: str = "") -> KbuildError:
    return KbuildError(
        f"{Path(root, *start, path.lstrip('/'))} is not below {root}{f': {why}' if why else ''}",
        hint="make would write there; make the link a relative one within the root, or name the other place as root",
    )

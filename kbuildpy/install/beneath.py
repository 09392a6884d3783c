"""Nothing is written outside of the root that modules are installed below.

The meaning is that of openat2(2) with RESOLVE_BENEATH: a link that is absolute, or a `..` that climbs above the root,
leads out. What follows is looked at before anything is written; who can change the root meanwhile can do all that the
one who installs can.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.installing import InstallRules

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)


def check_place(name: str, rules: InstallRules, root: str) -> str:
    """Look whether the module `name` can be installed below `root` ("" for the running system, which nothing leads out
    of); what is to be said of its place, "" for nothing.

    Make takes a name with `..` (`obj-m := ../common/a.o`) and installs that module beside the directory which was asked
    for; so it is here, as long as it stays in lib/modules/RELEASE. Raises `UsageError` for an INSTALL_MOD_DIR that
    leads out of `root`, `KbuildError` for a name or a link that does.
    """
    folder = posixpath.normpath(f"{rules.modlib}/{rules.folder}")
    place = posixpath.normpath(f"{folder}/{name}{rules.suffix}")
    if root:
        _check_climb(f"{rules.modlib}/{rules.folder}", f"INSTALL_MOD_DIR={rules.folder}", root)
    beside = not place.startswith(f"{folder}/")
    if beside and not place.startswith(f"{posixpath.normpath(rules.modlib)}/"):
        raise KbuildError(
            f"{name}: it would be installed as {place}, outside of {rules.modlib}",
            hint="the modules.order that names it was not made by a build of modules: build again",
        )
    if root:
        _check_links(f"{rules.modlib}/{rules.folder}/{name}{rules.suffix}", root)
    return f"{name}: it is installed as {root}{place}, as make does" if beside else ""


def check_index(rules: InstallRules, root: str) -> None:
    """The same for what depmod writes in lib/modules/RELEASE. Raises `KbuildError`."""
    if root:
        _check_links(f"{rules.modlib}/modules.dep", root)


def _check_climb(path: str, what: str, root: str) -> None:
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            raise UsageError(
                f"{what} leads out of {root}", hint="name a directory below lib/modules/RELEASE, or another --root"
            )


def _check_links(path: str, root: str) -> None:
    """Follow `path` from `root` as the kernel would. What is not there yet cannot lead anywhere."""
    walked: list[str] = []
    rest = path.split("/")
    links = 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not walked:
                raise _leads_out(path, root)
            walked.pop()
            continue
        entry = Path(root, *walked, part)
        try:
            is_link = stat.S_ISLNK(entry.lstat().st_mode)
        except FileNotFoundError:
            is_link = False
        if not is_link:
            walked.append(part)
            continue
        links += 1
        target = os.fspath(entry.readlink())
        if target.startswith("/") or links > _LINKS:
            raise _leads_out(path, root, f"{entry} is a link to {target}")
        rest = [*target.split("/"), *rest]


def _leads_out(path: str, root: str, why: str = "") -> KbuildError:
    return KbuildError(
        f"{root}{path} is not below {root}{f': {why}' if why else ''}",
        hint="make would write there; make the link a relative one within the root, or name the other place as root",
    )

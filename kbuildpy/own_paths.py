# SPDX-License-Identifier: GPL-2.0-only
"""Whether only this user can change a directory: commands from it are run, so no other user may write there.

The rule is that of sshd for its key files (OpenSSH, misc.c: safe_path): the directory, its parents and the symbolic
links on the way belong to this user or to root, and no other user may write there. Two things are allowed beyond that:
a sticky directory on the way (/tmp), where users cannot replace the entries of others, and a group that is the user's
own (Debian's sshd: user-group-modes).
"""

from __future__ import annotations

import functools
import grp
import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path

_LINKS = 40  # as many as the kernel follows (include/linux/namei.h: MAXSYMLINKS)


def found_foreign(path: Path) -> str:
    """A sentence about the first directory or link on the way to the directory `path`, itself included, through which
    another user can change its contents; "" for none. Missing directories do not count.

    The directory itself has to be this user's, also where root made it.
    """
    place = Path("/")
    found = _foreign(place, place.lstat(), last=False)
    rest = list(path.absolute().parts[1:])
    links = 0
    while rest and not found:
        part = rest.pop(0)
        if part == "..":
            place = place.parent
            continue
        entry = place / part
        try:
            status = entry.lstat()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{entry}: {error.strerror}"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            target = entry.readlink()
            found = _not_ours(entry, status, others=_roots()) if links <= _LINKS else f"{entry}: too many links"
            place = Path("/") if target.is_absolute() else place
            rest = [part for part in target.parts if part != "/"] + rest
        else:
            found = _foreign(entry, status, last=not rest)
            place = entry
    # (a path that ends with `..`, or in a link to such a one, has led to a directory that was looked at on the way)
    return found or _foreign(place, place.lstat(), last=True)


def foreign_entry(directory: Path) -> str:
    """The first entry of `directory` that another user may change, in a sentence; "" for none."""
    for entry in sorted(directory.iterdir()):
        try:
            status = entry.lstat()
        except FileNotFoundError:
            continue
        found = _not_ours(entry, status) or ("" if stat.S_ISLNK(status.st_mode) else _writable(entry, status))
        if found:
            return found
    return ""


def _foreign(place: Path, status: os.stat_result, *, last: bool) -> str:
    if not stat.S_ISDIR(status.st_mode):
        return f"{place} is not a directory"
    # (in a sticky one, who owns the entry that comes next is looked at like everything else)
    sticky = bool(status.st_mode & stat.S_ISVTX) and not last
    return _not_ours(place, status, others=() if last else _roots()) or ("" if sticky else _writable(place, status))


def _not_ours(place: Path, status: os.stat_result, *, others: Sequence[int] = ()) -> str:
    if status.st_uid in (os.geteuid(), *others):
        return ""
    return f"{place} belongs to {_user(status.st_uid)}"


def _writable(place: Path, status: os.stat_result) -> str:
    if status.st_mode & stat.S_IWOTH:
        return f"{place} can be written by everybody"
    if status.st_mode & stat.S_IWGRP and not _is_own_group(status):
        return f"{place} can be written by a group"
    return ""


def _is_own_group(status: os.stat_result) -> bool:
    """Whether a group has the owner's name and no other member."""
    if status.st_gid == 0 and status.st_uid == 0:
        return True
    try:
        group, owner = grp.getgrgid(status.st_gid), pwd.getpwuid(status.st_uid)
    except KeyError:
        return False
    members = {*group.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == status.st_gid)}
    return group.gr_name == owner.pw_name and members <= {owner.pw_name}


@functools.cache
def _roots() -> tuple[int, ...]:
    """Root, and in a user namespace that does not map root (a sandbox), the user to whom root's files seem to belong;
    there, others' do as well (user_namespaces(7))."""
    try:
        owner = int(Path("/proc/sys/kernel/overflowuid").read_text())
        ranges = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except (OSError, ValueError):
        return (0,)
    mapped = any(first <= user < first + count for first, _, count in ranges for user in (0, owner))
    return (0,) if mapped else (0, owner)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

# SPDX-License-Identifier: GPL-2.0-only
"""Lets processes write in a module directory without changing it: they run below an overlay mounted over it.

The overlay is mounted in a new mount namespace, and for a user who is not root in a new user namespace too. Sources:
Documentation/filesystems/overlayfs.rst, mount_namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from kbuildpy.kbuild.overlay import Overlay, forget_folders
from kbuildpy.kbuild.overlay_files import VERSION_CONTROL

# include/uapi/linux/sched.h, include/uapi/linux/mount.h
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000


class OverlayRefused(Exception):
    """The system refuses an overlay over a directory; the message says why."""


class Namespace(NamedTuple):
    """Open file descriptors of the namespaces in which an overlay is mounted."""

    user: int | None
    """The user namespace; None for that of this process."""
    mount: int
    """The mount namespace."""
    root: int
    """This process' root directory, as it is mounted there."""


def entry(overlay: Overlay, cwd: str) -> Callable[[], None]:
    """A function for a new process to call before it executes a program: the process enters the namespace of `overlay`
    and changes to the folder `cwd`. Mounts the overlay if it is not mounted yet. Raises `OverlayRefused`."""
    forget_folders(overlay)
    if overlay not in _namespaces:
        _namespaces[overlay] = _begin(overlay)
    namespace = _namespaces[overlay]
    if isinstance(namespace, OverlayRefused):
        raise namespace
    # If this process is killed, make gets SIGTERM and passes it to its recipes, which would otherwise go on writing.
    libc = _libc()
    return partial(_enter, libc, namespace, cwd, partial(libc.end_with, os.getpid(), signal.SIGTERM))


def leave(overlay: Overlay) -> None:
    """Unmount `overlay` (close its namespaces) and remove its folders. For an overlay in which nothing was written."""
    forget_folders(overlay)
    namespace = _namespaces.pop(overlay, None)
    if isinstance(namespace, Namespace):
        for descriptor in namespace:
            if descriptor is not None:
                os.close(descriptor)
    shutil.rmtree(overlay.place, ignore_errors=True)


_namespaces: dict[Overlay, Namespace | OverlayRefused] = {}


def _begin(overlay: Overlay) -> Namespace | OverlayRefused:
    inner = _mounts_below(overlay)
    if inner:
        return OverlayRefused(f"{inner[0]} is another file system")
    folders = [Path(overlay.place, name) for name in ("upper", "work")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        _own_folders(overlay)
    found = _mount(overlay)
    for folder in (*folders, Path(overlay.place)) if isinstance(found, OverlayRefused) else ():
        with suppress(OSError):
            folder.rmdir()
    return found


def _mount(overlay: Overlay) -> Namespace | OverlayRefused:
    if os.geteuid() == 0:
        found = _mount_in_thread(overlay)
        if found is not None:
            return found
    return _mount_in_process(overlay)


def _mount_in_thread(overlay: Overlay) -> Namespace | None:
    """Mount the overlay in the mount namespace of a thread that then ends; None if that fails. Only for root, to save
    the 8 ms that a process takes to start and to end."""
    libc = _libc()
    found: list[Namespace] = []

    def begin() -> None:
        with suppress(OSError):
            _check(libc.unshare(_CLONE_NEWNS), "unshare")
            _lay_over(libc, overlay, own_user=False)
            mount = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
            found.append(Namespace(None, mount, os.open("/", os.O_PATH | os.O_DIRECTORY)))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    return found[0] if found else None


def _mount_in_process(overlay: Overlay) -> Namespace | OverlayRefused:
    libc = _libc()
    reading, writing = os.pipe()
    try:
        # The process may end: an open descriptor keeps a namespace alive.
        process = subprocess.Popen(
            ["cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            preexec_fn=partial(_leave_namespaces, libc, overlay, writing),
        )
    except (OSError, subprocess.SubprocessError):
        os.close(writing)
        with os.fdopen(reading, errors="replace") as said:
            return OverlayRefused(said.read() or "no process could be started")
    os.close(writing)
    with process, os.fdopen(reading) as said:
        kinds, here = said.read().split(), f"/proc/{process.pid}/ns"
        try:
            descriptors = {kind: os.open(f"{here}/{kind}", os.O_RDONLY) for kind in kinds}
            root = os.open(f"/proc/{process.pid}/root", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            return OverlayRefused(f"{error.filename}: {error.strerror}")
    return Namespace(descriptors.get("user"), descriptors["mnt"], root)


def _leave_namespaces(libc: Any, overlay: Overlay, report: int) -> None:
    """In a new process: enter new namespaces and mount the overlay. Writes the kinds of the new namespaces, or the
    error, to the descriptor `report`. Raises OSError."""
    try:
        user, group = os.geteuid(), os.getegid()
        own_user = user != 0 or libc.unshare(_CLONE_NEWNS) != 0
        if own_user:
            _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
            own = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
            for name, text in own.items():
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                    file.write(text)
        _lay_over(libc, overlay, own_user=own_user)
        os.write(report, b"user mnt" if own_user else b"mnt")
    except OSError as error:
        os.write(report, f"{error.filename or 'mount'}: {error.strerror}".encode(errors="replace"))
        raise


def _lay_over(libc: Any, overlay: Overlay, *, own_user: bool) -> None:
    """Mount the overlay; the calling thread must be in a new mount namespace. Raises OSError."""
    _check(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    # Paths in mount's options would need escaping; paths of descriptors do not. They must be opened in this namespace.
    descriptors: list[int] = []
    try:
        for path in (overlay.directory, overlay.upper, f"{overlay.place}/work", overlay.out):
            descriptors.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
        lower, upper, work, out = (f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}{',userxattr' if own_user else ''}"
        target = os.fsencode(overlay.directory)
        _check(libc.mount(b"overlay", target, b"overlay", 0, options.encode()), "mount overlay")
        with suppress(OSError):
            os.chmod(f"{work}/work", 0o700)  # noqa: PTH101 - the kernel makes it 0o000: only root could remove it
        if overlay.out.startswith(f"{overlay.directory}/"):
            beneath = os.fsencode(overlay.out)
            _check(libc.mount(out.encode(), beneath, None, _MS_BIND | _MS_REC, None), "mount the output")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _enter(libc: Any, namespace: Namespace, cwd: str, end_with_us: Callable[[], None]) -> None:
    for descriptor in (namespace.user, namespace.mount):
        if descriptor is not None:
            _check(libc.setns(descriptor, 0), "setns")
    # The root directory is now that of the namespace: in a chroot, one outside of it.
    os.fchdir(namespace.root)
    os.chroot(".")
    os.chdir(cwd)
    # last, because entering a user namespace clears the signal of prctl(PR_SET_PDEATHSIG)
    end_with_us()


def _check(result: int, what: str) -> None:
    if result != 0:
        number = _libc().get_errno()
        raise OSError(number, os.strerror(number), what)


@functools.cache
def _libc() -> ModuleType:
    """The functions of the C library."""
    from kbuildpy.kbuild import libc  # gate: ctypes is slow to import, not needed by a build that runs no command

    return libc


def _mounts_below(overlay: Overlay) -> list[str]:
    """The mount points below the directory: an overlay does not show the files of other file systems."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if point.startswith(f"{overlay.directory}/"):
            found.append(point)
    return found


def _own_folders(overlay: Overlay) -> None:
    """Create, in the upper folder, a counterpart of each folder that belongs to another user. The kernel cannot create
    one for an owner that the user namespace does not map (EOVERFLOW), so that writing in the folder would fail."""
    own = (os.geteuid(), os.getegid())
    for folder, names, _ in os.walk(overlay.directory):
        below = folder[len(overlay.directory) :]
        names[:] = [name for name in names if name not in VERSION_CONTROL and f"{folder}/{name}" != overlay.out]
        status = os.stat(folder)  # noqa: PTH116
        if below and (status.st_uid, status.st_gid) != own:
            Path(f"{overlay.upper}{below}").mkdir(parents=True, exist_ok=True)

# SPDX-License-Identifier: GPL-2.0-only
"""Shows a directory at another path, to one process and what that starts: a rebuild must see its sources where the
recorded build had them, because debug information and `__FILE__` name the path.

The process gets a mount namespace of its own, and for a user who is not root a user namespace as well. Where the path
is not there, and nothing may be made there, a root directory is put together that has it: of bind mounts of what is
there (mount_namespaces(7), user_namespaces(7)).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType

from kbuildpy.errors import CommandError
from kbuildpy.run import run

# include/uapi/linux/sched.h, include/uapi/linux/mount.h
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000


def shown_at(directory: Path, path: str, *, scratch: Path, needed: Sequence[str] = ()) -> Callable[[], None]:
    """A function for a new process to call before it executes a program: it then finds `directory` at `path`, and its
    working directory is there. `scratch` is an empty directory. Directories below `path` that are `needed`, and those
    of this program, stay visible."""
    from kbuildpy.kbuild import libc  # gate: ctypes is slow to import

    own = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[1]))
    templates = str(Path(__file__).resolve().parents[2] / "templates")
    kept = [item for item in (*own, templates, *needed) if item.startswith(f"{path}/") and Path(item).is_dir()]
    return partial(_enter, libc, str(directory), path, str(scratch), kept, os.getpid())


def refusal(directory: Path, path: str, *, scratch: Path) -> str:
    """Why the system does not let `directory` be shown at `path`; "" where it does."""
    if f"{directory}/".startswith(f"{path}/"):
        return f"{directory} is inside {path}"
    try:
        run(["true"], begin=shown_at(directory, path, scratch=scratch))
    except CommandError as error:
        return error.message
    return ""


def _enter(libc: ModuleType, directory: str, path: str, scratch: str, needed: Sequence[str], parent: int) -> None:
    user, group = os.geteuid(), os.getegid()
    if user != 0 or libc.unshare(_CLONE_NEWNS) != 0:
        _check(libc, libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
        own = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
        for name, text in own.items():
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)
    _check(libc, libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    # (they are hidden by what is mounted over them, and open descriptors still lead there)
    kept = [(item, os.open(item, os.O_PATH | os.O_DIRECTORY)) for item in needed]
    if os.path.isdir(path):  # noqa: PTH112
        _bind(libc, directory, path)
    else:
        _check(libc, libc.mount(b"tmpfs", os.fsencode(scratch), b"tmpfs", 0, b"mode=755"), "mount tmpfs")
        _lay_out_root(libc, scratch, path)
        _bind(libc, directory, f"{scratch}{path}")
        os.chroot(scratch)
    for item, descriptor in kept:
        os.makedirs(item, exist_ok=True)  # noqa: PTH103
        _bind(libc, f"/proc/self/fd/{descriptor}", item)
        os.close(descriptor)
    os.chdir(path)
    libc.end_with(parent, signal.SIGTERM)


def _lay_out_root(libc: ModuleType, root: str, path: str) -> None:
    """Fill the directory `root` with all that is in /, so that the directory `path` is there besides."""
    real, place = "", root
    for part in path.strip("/").split("/"):
        if os.path.isdir(real or "/"):  # noqa: PTH112
            for name in os.listdir(real or "/"):  # noqa: PTH208
                if name != part:
                    with suppress(OSError):
                        _show(libc, f"{real}/{name}", f"{place}/{name}")
        real, place = f"{real}/{part}", f"{place}/{part}"
        os.mkdir(place)  # noqa: PTH102


def _show(libc: ModuleType, real: str, place: str) -> None:
    if os.path.islink(real):  # noqa: PTH114
        os.symlink(os.readlink(real), place)  # noqa: PTH115, PTH211
        return
    if os.path.isdir(real):  # noqa: PTH112
        os.mkdir(place)  # noqa: PTH102
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    _bind(libc, real, place)


def _bind(libc: ModuleType, real: str, place: str) -> None:
    flags = _MS_BIND | _MS_REC
    _check(libc, libc.mount(os.fsencode(real), os.fsencode(place), None, flags, None), f"mount {place}")


def _check(libc: ModuleType, result: int, what: str) -> None:
    if result != 0:
        number = libc.get_errno()
        raise OSError(number, os.strerror(number), what)

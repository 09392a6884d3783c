# SPDX-License-Identifier: GPL-2.0-only
"""A process in which every file is read-only and there is no network, where the kernel allows it (user_namespaces(7)),
and which has no capabilities to change that. It has the user's rights to read, and to send signals.

It is called between fork and exec, so everything is loaded at import. What the kernel refuses is left out: a container
may have no namespaces, and then the file is evaluated with the rights of the caller, as DKMS does always.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from functools import partial

from kbuildpy.child import end_with

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITIES = tuple(number for number in range(64) if number != 2)
"""All that there may be (include/uapi/linux/capability.h) but CAP_DAC_READ_SEARCH: root reads the files of others."""


_libc = ctypes.CDLL(None, use_errno=True)
_attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0))


def confining() -> Callable[[], None]:
    """A function for a new process, to be called before it becomes the program."""
    return partial(_confine, os.getpid(), os.geteuid(), os.getegid())


def _confine(parent: int, user: int, group: int) -> None:
    alone = _CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC
    if _libc.unshare(alone) != 0 and _libc.unshare(_CLONE_NEWUSER | alone) == 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            try:
                descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            except OSError:
                continue
            try:
                os.write(descriptor, text.encode())
            except OSError:
                pass
            finally:
                os.close(descriptor)
    if _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) == 0:
        _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, _attributes, len(_attributes) - 1)
        # (for here-documents of the file)
        _libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, b"size=1m,mode=1777")
    # (what the program of root could undo this with)
    for capability in _CAPABILITIES:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setsid()
    end_with(parent)

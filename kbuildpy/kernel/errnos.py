# SPDX-License-Identifier: GPL-2.0-only
"""Errnos by name and in words, also those that never leave the kernel (include/linux/errno.h) unless an init function
returns them."""

from __future__ import annotations

import errno as errnos
import os

_INTERNAL = {
    512: ("ERESTARTSYS", "the call was to be restarted"),
    513: ("ERESTARTNOINTR", "the call was to be restarted"),
    514: ("ERESTARTNOHAND", "the call was to be restarted"),
    515: ("ENOIOCTLCMD", "no ioctl command"),
    516: ("ERESTART_RESTARTBLOCK", "the call was to be restarted"),
    517: ("EPROBE_DEFER", "the driver asks for its probe to be repeated later"),
    518: ("EOPENSTALE", "open found a stale dentry"),
    519: ("ENOPARAM", "parameter not supported"),
    521: ("EBADHANDLE", "illegal NFS file handle"),
    522: ("ENOTSYNC", "update synchronization mismatch"),
    523: ("EBADCOOKIE", "cookie is stale"),
    524: ("ENOTSUPP", "operation is not supported"),
    525: ("ETOOSMALL", "buffer or request is too small"),
    526: ("ESERVERFAULT", "an untranslatable error occurred"),
    527: ("EBADTYPE", "type not supported by server"),
    528: ("EJUKEBOX", "request initiated, but will not complete before timeout"),
    529: ("EIOCBQUEUED", "iocb queued, will get completion event"),
    530: ("ERECALLCONFLICT", "conflict with recalled state"),
}


_NUMBERS = {name: number for number, (name, _) in reversed(_INTERNAL.items())}


def errno_name(number: int) -> str:
    """The name of an errno; the number itself for one that has none."""
    return errnos.errorcode.get(number) or _INTERNAL.get(number, (str(number), ""))[0]


def errno_number(name: str) -> int:
    """The number of the errno called `name`. Raises `KeyError` for an unknown name."""
    number = _NUMBERS.get(name) or getattr(errnos, name, None)
    if number is None:
        raise KeyError(name)
    return number


def errno_words(errno: int | str) -> str:
    """The name of an errno (of a number, or as it is given: some numbers have two names), and what it means."""
    name, number = (errno, errno_number(errno)) if isinstance(errno, str) else (errno_name(errno), errno)
    meaning = _INTERNAL[number][1] if number in _INTERNAL else os.strerror(number)
    return f"{name} ({meaning})"

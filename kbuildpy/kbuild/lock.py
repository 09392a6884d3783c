# SPDX-License-Identifier: GPL-2.0-only
"""Lets one build at a time use an output directory: a second one waits, and prints the process that it waits for.

The lock is a record lock of fcntl(2): the kernel releases it when the process ends, says which process holds it, and
reports an error to one of two processes that wait for each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import ExitStack
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.printable import printable
from kbuildpy.say import complain

# struct flock of <asm-generic/fcntl.h> on 64-bit machines: type, whence, start, length, process
_FLOCK = "hhqqi0q"
_held: dict[str, int] = {}


def lock_output(out: Path, *, create: bool = True) -> None:
    """Lock the output directory `out` until this process ends; waits while another build holds the lock.

    If `out` has no output yet, it is created and locked only with `create`. Does nothing where files cannot be locked
    (some network file systems) or `out` cannot be written. Raises `KbuildError` where the other build waits for this
    process (a deadlock).
    """
    path = out / ".kbuildpy" / "lock"
    if str(path) in _held or not (create or path.parent.is_dir()):
        return
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            with ExitStack() as stack:
                stack.callback(os.close, descriptor)
                _wait_for(descriptor, out)
                # the build that held the lock may have removed the output with the locked file: open the new one
                if _is_there(descriptor, path):
                    stack.pop_all()
                    break
        _held[str(path)] = descriptor
    except OSError as error:
        if error.errno == errno.EDEADLK:
            raise KbuildError(
                f"{out}: the build that holds this directory waits for this build",
                hint="two builds use the same two output directories in different order: run them one after the other",
            ) from error


def _wait_for(descriptor: int, out: Path) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # fcntl(2) allows EACCES for a held lock as well as EAGAIN
        complain(f"kbuildpy: {printable(str(out))}: {_holder(descriptor)} builds there: waiting for its end")
        fcntl.lockf(descriptor, fcntl.LOCK_EX)


def _holder(descriptor: int) -> str:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    process = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[4]
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "another process"
    return f"process {process} ({printable(b' '.join(words).decode(errors='replace').strip())})"


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

# SPDX-License-Identifier: GPL-2.0-only
"""Runs a program whose output is read while it runs: QEMU, whose console the caller watches."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.errors import CommandError
from kbuildpy.execute import Completed
from kbuildpy.not_started import not_started

_PATIENCE = 30
"""Seconds that a program has to end by its own, once it was told to."""
_WAITING = 1 << 20
"""Bytes of output that may wait to be read, the most that Linux gives to everybody (fs.pipe-max-size). A guest that
floods its console fills this in seconds, and the usual 64 KiB while a busy machine lets this process wait: its driver
of the serial port gives a character up after 10 ms (wait_for_lsr() in drivers/tty/serial/8250/8250_port.c)."""


def run_live(
    argv: Sequence[str | Path],
    *,
    watch: Callable[[bytes], float | None],
    stdin: int | None = None,
    ending: int = signal.SIGKILL,
) -> Completed | None:
    """Run `argv` and pass its standard output to `watch` as it arrives. Returns None if the program was stopped here.

    `watch` is called with b"" first. It returns the seconds to wait for more output: None for no limit, 0 or less to
    stop. When the time is over, `watch` is called with b"" once more, and the program is killed. `stdin` is a file
    descriptor (default: no input). Raises `CommandError` for a program that does not exist, or that fails by itself,
    with its standard error. An exception of `watch` ends the program, and so does the end of this process: by signal
    `ending`, with which make ends its own children.
    """
    words = [str(word) for word in argv]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=partial(end_with, os.getpid(), ending),
            )
        except OSError as error:
            raise not_started(words[0], "", error.errno or 0) from error
        assert process.stdout
        try:
            with process.stdout as output:
                with suppress(PermissionError):  # the user's pipes have much in them already
                    fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _WAITING)
                if not _watch_output(output.fileno(), watch):
                    return None
            status = process.wait()
        finally:
            _end(process, ending)
        errors.seek(0)
        completed = Completed(status, b"", errors.read())
    if status:
        said = completed.error_text.strip()
        raise CommandError(f"{words[0]} failed with status {status}: {said}", stderr=said, returncode=status)
    return completed


def _end(process: subprocess.Popen[bytes], ending: int) -> None:
    if process.poll() is None and ending != signal.SIGKILL:
        process.send_signal(ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    process.kill()
    process.wait()


def _watch_output(descriptor: int, watch: Callable[[bytes], float | None]) -> bool:
    """Whether the program closed its output; False if `watch` stopped it."""
    patience = watch(b"")
    while patience is None or patience > 0:
        readable, _, _ = select.select([descriptor], [], [], patience)
        chunk = os.read(descriptor, 1 << 16) if readable else b""
        if readable and not chunk:
            return True
        patience = watch(chunk)
        if not readable:
            break
    return False

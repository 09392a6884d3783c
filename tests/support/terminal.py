# SPDX-License-Identifier: GPL-2.0-only
"""Programs on a terminal, which may draw bars there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def run_on_terminal(argv: Sequence[str | Path], stdout: int | None = None) -> str:
    """What `argv` shows on a terminal, which is its standard error, and its standard output if that is not given."""
    terminal, side = pty.openpty()
    # (a bar has no room on one without columns)
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=side if stdout is None else stdout, stderr=side):
        os.close(side)
        shown = b""
        # (reading fails once nobody has the other side any more)
        with suppress(OSError):
            while True:
                shown += os.read(terminal, 4096)
    os.close(terminal)
    return shown.decode()

# SPDX-License-Identifier: GPL-2.0-only
"""Runs a command for a report: shows its output as it comes, and keeps it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from kbuildpy.own_command import own_command
from kbuildpy.pin import environment_to_sign

_FIRST, _LAST = 1 << 18, 1 << 20
"""Bytes that are kept of an output: where it begins, and where it ends."""


@dataclass(frozen=True)
class RecordedRun:
    """A command that was run."""

    words: tuple[str, ...]
    """Without `kbuildpy`; the first word is `scons` for SCons."""
    status: int
    seconds: float
    output: str
    """What it printed, on both streams."""

    @property
    def command(self) -> str:
        """The call as a shell's words."""
        return shlex.join(self.words if self.words[0] == "scons" else ("kbuildpy", *self.words))


def record(words: Sequence[str]) -> RecordedRun:
    """Run `kbuildpy WORDS`, or SCons where the first word is `scons`, to its end."""
    argv = [sys.executable, "-m", "SCons", *words[1:]] if words[0] == "scons" else own_command(*words)
    environ = {**(environment_to_sign() or os.environ), "PYTHONUNBUFFERED": "1"}
    began = time.monotonic()
    first, last, dropped = bytearray(), deque[bytes](), 0
    kept = 0
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        while chunk := os.read(process.stdout.fileno(), 1 << 16):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            if len(first) < _FIRST:
                first += chunk
                continue
            last.append(chunk)
            kept += len(chunk)
            while kept > _LAST:
                gone = len(last.popleft())
                kept, dropped = kept - gone, dropped + gone
    middle = f"\n[{dropped} bytes are left out here]\n".encode() if dropped else b""
    output = (bytes(first) + middle + b"".join(last)).decode(errors="replace")
    return RecordedRun(tuple(words), process.returncode, time.monotonic() - began, output)

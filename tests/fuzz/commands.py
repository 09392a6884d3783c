# SPDX-License-Identifier: GPL-2.0-only
"""Commands that are given damaged input, and what each of them must keep to whatever the input is.

No traceback, an exit status that is documented, no hang, and no more memory than the input's size allows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SLOWEST = 10.0
"""Seconds that a command may take."""
LARGEST = 200 << 20, 4
"""Bytes of memory that it may need: for any input, and more for each byte of it."""
STATUSES = (0, 1, 2)
UNFORESEEN = ("Traceback (most recent call last)", "internal error (", "Error: maximum recursion")
"""What is printed of an exception that nobody foresaw. (The second is the line for one file of many.)"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status (`tests.fuzz.server`), seconds, bytes of memory, and what it printed."""

    status: int
    seconds: float
    memory: int
    out: str
    error: str

    def fault(self, size: int) -> str:
        """What is wrong with it for `size` bytes of input; empty if nothing is."""
        allowed = LARGEST[0] + LARGEST[1] * size
        if self.status == -1:
            return f"it hangs: {self.seconds:.1f} s"
        if self.status not in STATUSES:
            return f"exit status {self.status}\n{self.error[-3000:]}"
        if found := [text for text in UNFORESEEN if text in self.error + self.out]:
            return f"it says {found[0]!r}\n{self.error[-3000:]}{self.out[-1000:]}"
        if self.memory > allowed:
            return f"{self.memory >> 20} MiB of memory for {size} bytes of input"
        return ""


class Commands:
    """A process that runs commands (`tests.fuzz.server`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        argv: Sequence[str | Path],
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        *,
        seconds: float = SLOWEST,
    ) -> Outcome:
        """Run `kbuildpy ARGV` in `cwd` to its end. One that seems to hang gets a second chance, for others may have
        kept the processors busy."""
        outcome = self._run(argv, cwd, environ or {}, seconds)
        return outcome if outcome.status != -1 else self._run(argv, cwd, environ or {}, seconds)

    def _run(self, argv: Sequence[str | Path], cwd: Path, environ: Mapping[str, str], seconds: float) -> Outcome:
        call = {"argv": [str(word) for word in argv], "cwd": str(cwd), "environ": {**environ}, "seconds": seconds}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


@contextmanager
def commands() -> Iterator[Commands]:
    """The process, for as long as the context lasts."""
    argv = [sys.executable, "-m", "tests.fuzz.server"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # (leaving the context closes the pipes, which ends the process)
        yield Commands(process)

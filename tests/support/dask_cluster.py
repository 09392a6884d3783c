# SPDX-License-Identifier: GPL-2.0-only
"""A Dask scheduler with two workers on this machine, each a process; the workers also in network namespaces."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_NO_PREFIX: tuple[Sequence[str], Sequence[str]] = ((), ())


class Dask:
    """The processes, from the start on; `address` is the scheduler's host and port."""

    def __init__(
        self, place: Path, *, host: str = "127.0.0.1", within: tuple[Sequence[str], Sequence[str]] = _NO_PREFIX
    ) -> None:
        """Start them, with their files in `place`. The scheduler listens at `host`; `within` has for each worker the
        words before its command, such as those that lead into a network namespace."""
        self.log = place / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.out: IO[bytes] = self.log.open("wb")
        words = ["--port", "0", "--no-dashboard", "--host", host]
        self.scheduler = self._start("distributed.cli.dask_scheduler", *words)
        self.address = self._wait_for(r"Scheduler at: +tcp://(\S+)")[1]
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self.workers = [
            self._start(
                "distributed.cli.dask_worker", f"tcp://{self.address}", *options,
                "--local-directory", str(place / f"worker{number}"), before=before,
            )
            for number, before in enumerate(within)
        ]  # fmt: skip
        self._wait_for(r"(?s)(Registered to:.*){2}")

    def _start(self, name: str, *words: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        argv = [*before, sys.executable, "-m", name, *words]
        process = subprocess.Popen(argv, stdout=self.out, stderr=self.out, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def _wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def end(self) -> None:
        """End all of it."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.out.close()

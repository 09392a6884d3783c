# SPDX-License-Identifier: GPL-2.0-only
"""Executes cells in processes on this machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial

from kbuildpy.child import end_with
from kbuildpy.fleet.executor import Attempt, EndedAttempt, reason_of, work_words
from kbuildpy.own_command import own_command
from kbuildpy.parallel import in_threads


def in_local_processes(attempts: Sequence[Attempt], *, jobs: int) -> Iterator[EndedAttempt]:
    """Run `attempts`, as many at a time as `jobs` allows; each uses the processors that are left."""
    at_a_time = max(1, min(jobs, len(attempts)))
    each = max(1, jobs // at_a_time)
    yield from in_threads(partial(_run, jobs=each, parent=os.getpid()), attempts, jobs=at_a_time)


def _run(attempt: Attempt, *, jobs: int, parent: int) -> EndedAttempt:
    began = time.monotonic()
    process = subprocess.Popen(
        own_command(*work_words(attempt, jobs=jobs)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=partial(end_with, parent),
    )
    _, said = process.communicate()
    return EndedAttempt(attempt, reason_of(process.returncode, said), time.monotonic() - began)

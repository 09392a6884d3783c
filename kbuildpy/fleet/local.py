# SPDX-License-Identifier: GPL-2.0-only
"""Executes cells in processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from kbuildpy.fleet.executor import Attempt, EndedAttempt, carry_out_words, work_words
from kbuildpy.parallel import in_threads


def in_local_processes(attempts: Sequence[Attempt], *, jobs: int) -> Iterator[EndedAttempt]:
    """Run `attempts`, as many at a time as `jobs` allows; each uses the processors that are left."""
    at_a_time = max(1, min(jobs, len(attempts)))
    yield from in_threads(partial(_run, jobs=max(1, jobs // at_a_time)), attempts, jobs=at_a_time)


def _run(attempt: Attempt, *, jobs: int) -> EndedAttempt:
    return EndedAttempt(attempt, *carry_out_words(work_words(attempt, jobs=jobs)))

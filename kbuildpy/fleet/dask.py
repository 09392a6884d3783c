# SPDX-License-Identifier: GPL-2.0-only
"""Executes cells on the workers of a Dask scheduler, which reaches machines by SSH, Kubernetes, Slurm and others.

The workers need this version of kbuildpy and the same files at the same paths. Dask gives the tasks of a lost worker to
others, and gives up a task that was lost with several (its setting `allowed-failures`).
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from distributed import Client, as_completed
from distributed.scheduler import KilledWorker

from kbuildpy.child import end_with
from kbuildpy.errors import KbuildError
from kbuildpy.fleet.executor import Attempt, EndedAttempt, reason_of, work_words
from kbuildpy.own_command import own_command

_CLIENT: Any = Client
_AS_COMPLETED: Any = as_completed
_PATIENCE = "10s"
"""How long is waited for the scheduler."""
_GOES_ON = "call it again: cells that are done are kept"


class TaskEnded(NamedTuple):
    """How the process of a task ended, as its worker reports."""

    reason: str
    """"" for a cell that was carried out."""
    seconds: float
    """How long it took."""


def on_dask(attempts: Sequence[Attempt], *, scheduler: str, jobs: int) -> Iterator[EndedAttempt]:
    """Run `attempts` on the workers of the Dask scheduler at the address `scheduler`; each uses `jobs` processors.

    Raises `KbuildError` if the scheduler does not answer or is lost.
    """
    try:
        client: Any = _CLIENT(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise KbuildError(
            f"no Dask scheduler answers at {scheduler}: {error}", hint="start it: dask scheduler"
        ) from error
    _silence()
    with client:
        tasks = {
            client.submit(
                carry_out_words,
                work_words(attempt, jobs=jobs),
                key=f"kbuildpy-{attempt.cell.key}-{attempt.number}-{time.time_ns()}",
                pure=False,
            ): attempt
            for attempt in attempts
        }
        for task in _AS_COMPLETED(tasks):
            attempt = tasks[task]
            if task.status == "cancelled":
                raise KbuildError(f"the Dask scheduler at {scheduler} was lost", hint=_GOES_ON)
            failure = task.exception()
            if failure is None:
                ended = task.result()
                yield EndedAttempt(attempt, ended.reason, ended.seconds)
            elif isinstance(failure, KilledWorker):
                yield EndedAttempt(attempt, "was lost with its worker, several times", 0.0)
            else:
                yield EndedAttempt(attempt, f"could not be run by the worker: {failure}", 0.0)


def _silence() -> None:
    """Have Dask's client print nothing: what matters is told here."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def carry_out_words(words: Sequence[str]) -> TaskEnded:
    """Run `kbuildpy WORDS`, in a worker; the process ends with the worker."""
    began = time.monotonic()
    done = subprocess.run(
        own_command(*words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        preexec_fn=partial(end_with, os.getpid()),
    )
    return TaskEnded(reason_of(done.returncode, done.stderr), time.monotonic() - began)

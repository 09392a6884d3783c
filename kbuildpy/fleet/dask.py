# SPDX-License-Identifier: GPL-2.0-only
"""Executes cells on the workers of a Dask scheduler, which reaches machines by SSH, Kubernetes, Slurm and others.

The workers need this version of kbuildpy and the same files at the same paths. Dask gives the tasks of a lost worker to
others, and gives up a task that was lost with several (its setting `allowed-failures`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, as_completed
from distributed.scheduler import KilledWorker

from kbuildpy.errors import KbuildError
from kbuildpy.fleet.executor import Attempt, EndedAttempt, carry_out_words, work_words

_CLIENT: Any = Client
_AS_COMPLETED: Any = as_completed
_PATIENCE = "10s"
"""How long is waited for the scheduler."""
_GOES_ON = "call it again: cells that are done are kept"


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
                yield EndedAttempt(attempt, *task.result())
            elif isinstance(failure, KilledWorker):
                yield EndedAttempt(attempt, "was lost with its worker, several times", 0.0)
            else:
                yield EndedAttempt(attempt, f"could not be run by the worker: {failure}", 0.0)


def _silence() -> None:
    """Have Dask's client print nothing: what matters is told here."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

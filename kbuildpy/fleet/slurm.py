# SPDX-License-Identifier: GPL-2.0-only
"""Executes cells in a job array of Slurm, many cells in each task: Slurm takes half a second to start one.

The nodes need this kbuildpy and the same files at the same paths. sbatch reads its options (partition, account, time
limit) from its own variables, SBATCH_*.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.fleet.executor import Attempt, EndedAttempt
from kbuildpy.own_command import own_command
from kbuildpy.printable import printable
from kbuildpy.program_packages import install_hint
from kbuildpy.run import run

TASKS = 50
"""How many tasks a job array has at most, unless the call says another number."""
_OPTIONS = "sbatch takes partition, account and the like from SBATCH_PARTITION, SBATCH_ACCOUNT, ..."
_LOOK = 1.0
"""Seconds between looks at what is done."""
_PATIENCE = 600.0
"""Seconds for which Slurm's controller may be out of reach."""
_STILL = 60.0
"""Seconds without a result after which it is told why tasks wait."""
_UNREACHABLE = ("Unable to contact", "Socket timed out", "Connection refused")


def on_slurm(
    attempts: Sequence[Attempt], *, tasks: int, jobs: int, tell: Callable[[str], object]
) -> Iterator[EndedAttempt]:
    """Run `attempts` in up to `tasks` tasks of a job array, each of which has `jobs` processors.

    `tell` gets a line with Slurm's reason when tasks wait and nothing ends. The job is cancelled if this process is
    interrupted. Raises `KbuildError` if Slurm refuses the job, or cannot be reached for long.
    """
    for program in ("sbatch", "squeue", "scancel"):
        if shutil.which(program) is None:
            raise KbuildError(f"--executor slurm: no program {program}", hint=install_hint(program))
    folder = attempts[0].place.parent
    count = min(tasks, len(attempts))
    listing = folder / f"slurm-{os.getpid()}-{time.time_ns()}.json"
    listing.write_text(json.dumps([[str(item.file), str(item.place)] for item in attempts]))
    job = _submit(listing, count, jobs)
    try:
        yield from _watch(job, attempts, tell)
    except BaseException:
        with suppress(KbuildError):
            run(["scancel", job])
        raise
    finally:
        for left in folder.glob(f"{listing.stem}*"):
            left.unlink(missing_ok=True)


def _submit(listing: Path, count: int, jobs: int) -> str:
    """Submit the job array; its number."""
    words = own_command("matrix", "--cells", str(listing), f"-j{jobs}")
    script = listing.with_suffix(".sh")
    # (SLURM_ARRAY_TASK_ID is the number of the task)
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} --task "$SLURM_ARRAY_TASK_ID/{count}"\n')
    options = [f"--array=0-{count - 1}", f"--cpus-per-task={jobs}", f"--output={listing.with_suffix('')}.%a.log"]
    done = run(["sbatch", "--parsable", "--requeue", "--job-name=kbuildpy", *options, script], check=False)
    if done.returncode:
        raise KbuildError(f"Slurm refuses the job: {done.error_text.strip()}", hint=_OPTIONS)
    return done.text.strip().partition(";")[0]


def _watch(job: str, attempts: Sequence[Attempt], tell: Callable[[str], object]) -> Iterator[EndedAttempt]:
    waiting = list(attempts)
    over = False
    last_answer = last_end = time.monotonic()
    told: set[str] = set()
    while waiting:
        ended = [(attempt, _ending(attempt)) for attempt in waiting]
        for attempt, found in ended:
            if found is not None:
                ending_file(attempt.place).unlink(missing_ok=True)
                yield EndedAttempt(attempt, *found)
                last_end = time.monotonic()
        waiting = [attempt for attempt, found in ended if found is None]
        if over:
            # (looked at once more after the last task ended)
            for attempt in waiting:
                yield EndedAttempt(attempt, f"was lost with its task of Slurm's job {job}", 0.0)
            return
        time.sleep(_LOOK if waiting else 0)
        states = _states(job)
        if states is not None:
            last_answer, over = time.monotonic(), not states
            line = _why_it_waits(job, states)
            # (Slurm's reasons for the same task take turns)
            if line and line not in told and last_answer - last_end > _STILL:
                tell(line)
                told.add(line)
        elif time.monotonic() - last_answer > _PATIENCE:
            raise KbuildError(
                f"Slurm's controller has not answered for {_PATIENCE / 60:.0f} minutes",
                hint="call it again: cells that are done are kept",
            )


def _ending(attempt: Attempt) -> tuple[str, float] | None:
    """How an attempt ended, as its task has written down; None if it has not ended."""
    try:
        reason, seconds = json.loads(ending_file(attempt.place).read_text())
        return str(reason), float(seconds)
    except (OSError, ValueError, TypeError):
        return None


def ending_file(place: Path) -> Path:
    """The file in which a task writes how the attempt with its output at `place` ended."""
    return place.with_name(f"{place.name}.ended")


def _states(job: str) -> list[tuple[str, str]] | None:
    """The tasks of `job` that wait or run, each with its state and Slurm's reason for it (squeue(1): %T, %r); None if
    Slurm does not answer."""
    try:
        done = run(["squeue", "--noheader", "--array", "--jobs", job, "--format", "%T %r"], check=False, timeout=60)
    except CommandError:
        return None
    if done.returncode == 0:
        return [(state, reason) for state, _, reason in (line.partition(" ") for line in done.text.splitlines())]
    # (a job that ended some minutes ago is unknown)
    return None if any(word in done.error_text for word in _UNREACHABLE) else []


def _why_it_waits(job: str, states: Sequence[tuple[str, str]]) -> str:
    """A line about the tasks that wait, with Slurm's reasons, the most frequent first; "" if none waits."""
    reasons = Counter(reason for state, reason in states if state == "PENDING")
    names = "; ".join(printable(reason) for reason, _ in reasons.most_common())
    return f"Slurm's job {job}, tasks that wait: {reasons.total()} ({names})" if reasons else ""

# SPDX-License-Identifier: GPL-2.0-only
"""A pool of forked processes, for `parallel.in_processes`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from signal import SIG_BLOCK, SIG_SETMASK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask
from typing import Any, TypeVar

from kbuildpy.child import begin_worker
from kbuildpy.errors import KbuildError

Item = TypeVar("Item")
Result = TypeVar("Result")


def results_of_chunks(
    work_on: Callable[[Sequence[Item]], list[Result]],
    chunks: Sequence[Sequence[Item]],
    *,
    processes: int,
    in_order: bool,
    doing: str,
    hint: str,
) -> Iterator[Result]:
    """The results of `work_on` on each of `chunks`, from as many `processes`; the rest is as in
    `parallel.in_processes`."""
    begin = os.getpid(), pthread_sigmask(SIG_BLOCK, ()), work_on
    pool = ProcessPoolExecutor(processes, mp_context=get_context("fork"), initializer=_begin, initargs=begin)
    try:
        if in_order:
            futures = deque(_submitted(pool, chunks))
            while futures:
                yield from futures.popleft().result()
        else:
            for future in as_completed(_submitted(pool, chunks)):
                yield from future.result()
    except BrokenProcessPool as broken:
        raise KbuildError(f"a process that {doing} was killed", hint=hint) from broken
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, chunks: Sequence[Sequence[Any]]) -> list[Future[list[Any]]]:
    """The work on `chunks`, begun. The first one starts all processes: a signal at that moment must not reach this
    one's handlers in them, and stays pending until they have their own."""
    mask = pthread_sigmask(SIG_BLOCK, (SIGINT, SIGTERM, SIGHUP))
    try:
        return [pool.submit(_work_on, chunk) for chunk in chunks]
    finally:
        pthread_sigmask(SIG_SETMASK, mask)


_work_here: list[Callable[[Sequence[Any]], list[Any]]] = []
"""In a process of a pool: its work on some items. (A pool can hand over no closure together with the items.)"""


def _begin(parent: int, mask: set[int], work_on: Callable[[Sequence[Any]], list[Any]]) -> None:
    begin_worker(parent)
    pthread_sigmask(SIG_SETMASK, mask)
    _work_here.append(work_on)


def _work_on(items: Sequence[Any]) -> list[Any]:
    [work_on] = _work_here
    return work_on(items)

# SPDX-License-Identifier: GPL-2.0-only
"""The same work on many items, in threads or in processes.

Threads for work that waits (for the disk, for programs); processes for work that keeps the interpreter locked. The
pools are imported when they are used: they take 25 ms, which is more than all other work of a command with one file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from signal import SIG_BLOCK, SIG_SETMASK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask
from typing import TYPE_CHECKING, Any, TypeVar

from kbuildpy.errors import KbuildError

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], *, jobs: int, in_order: bool = False
) -> Iterator[Result]:
    """The results of `work` on `items`, each as soon as it is known, or `in_order` of the items.

    `jobs` items are worked on at a time, and an item is taken from `items` when its turn comes. Once `work` has raised
    an exception, no item is started; the exception is raised here, after the items in progress, and `in_order` after
    the results of the items before.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    rest = iter(items)
    ordered: deque[Future[Result]] = deque()
    failed = False
    with ThreadPoolExecutor(jobs) as pool:
        try:
            begun = [pool.submit(work, item) for item in islice(rest, jobs)]
            running: set[Future[Result]] = set()
            while running or begun:
                ordered += begun if in_order else ()
                done, running = wait({*running, *begun}, return_when=FIRST_COMPLETED)
                failed = failed or any(future.exception() for future in done)
                begun = [] if failed else [pool.submit(work, item) for item in islice(rest, len(done))]
                for future in () if in_order else done:
                    yield future.result()
                while ordered and ordered[0].done():
                    yield ordered.popleft().result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: int,
    per_process: int,
    doing: str,
    hint: str,
    threads: int = 1,
    in_order: bool = True,
) -> Iterator[Result]:
    """The results of `work` on `items`, from up to `jobs` processes (0: one per processor).

    The processes are forked: `work` and what it refers to get into them through memory alone, and what it
    remembers stays in each. They end with this one, however that ends. Each gets `per_process` items at a time and
    works on them in `threads`; too few items for two processes are worked on here. Results must be picklable; they come
    `in_order` of the items, else as soon as they are known. `work` must be safe to run in a forked process.

    Raises what `work` raises, and `KbuildError` with `hint` when a process that was `doing` it is killed.
    """
    processes = min(jobs or os.cpu_count() or 1, len(items) // per_process)
    if processes < 2:
        yield from in_threads(work, items, jobs=threads, in_order=in_order) if threads > 1 else map(work, items)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    chunks = [items[start : start + per_process] for start in range(0, len(items), per_process)]
    begin = os.getpid(), pthread_sigmask(SIG_BLOCK, ()), work, threads, in_order
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


def _begin(parent: int, mask: set[int], work: Callable[[Any], Any], threads: int, in_order: bool) -> None:
    from kbuildpy.child import begin_worker

    begin_worker(parent)
    pthread_sigmask(SIG_SETMASK, mask)

    def work_on(items: Sequence[Any]) -> list[Any]:
        results = in_threads(work, items, jobs=threads, in_order=in_order) if threads > 1 else map(work, items)
        return list(results)

    _work_here.append(work_on)


def _work_on(items: Sequence[Any]) -> list[Any]:
    [work_on] = _work_here
    return work_on(items)

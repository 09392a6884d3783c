# SPDX-License-Identifier: GPL-2.0-only
"""The same work on many items, in threads or in processes.

Threads for work that waits (for the disk, for programs); processes for work that keeps the interpreter locked. The
pools (`process_pool`) are imported when they are used: they take 25 ms, which is more than all other work of a command
with one file.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    in_order: bool = False,
    give_up: Callable[[], object] = lambda: None,
) -> Iterator[Result]:
    """The results of `work` on `items`, each as soon as it is known, or `in_order` of the items.

    `jobs` items are worked on at a time, and an item is taken from `items` when its turn comes. Once `work` has raised
    an exception, no item is started; the exception is raised here, after the items in progress, and `in_order` after
    the results of the items before. When this is interrupted, or its results are wanted no longer, `give_up` is to have
    the items in progress end soon.
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
        except BaseException as error:
            if not isinstance(error, Exception):
                pool.shutdown(wait=False, cancel_futures=True)
                give_up()
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
    in_order: bool = True,
) -> Iterator[Result]:
    """The results of `work` on `items`, from up to `jobs` processes (0: one per processor).

    The processes are forked: `work` and what it refers to get into them through memory alone, and what it
    remembers stays in each. They end with this one, however that ends. Each gets `per_process` items at a time;
    too few items for two processes are worked on here. Results must be picklable; they come `in_order` of the items,
    else as soon as they are known. `work` must be safe to run in a forked process.

    Raises what `work` raises, and `KbuildError` with `hint` when a process that was `doing` it is killed.
    """
    processes = min(jobs or os.cpu_count() or 1, len(items) // per_process)
    if processes < 2:
        yield from map(work, items)
        return
    from kbuildpy.process_pool import results_of_chunks

    def work_on(chunk: Sequence[Item]) -> list[Result]:
        return list(map(work, chunk))

    chunks = [items[start : start + per_process] for start in range(0, len(items), per_process)]
    yield from results_of_chunks(work_on, chunks, processes=processes, in_order=in_order, doing=doing, hint=hint)

# SPDX-License-Identifier: GPL-2.0-only
"""Work in threads and in forked processes: order, errors, and what becomes of processes when one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.parallel import in_processes, in_threads

ITEMS = list(range(40))


def processes(work: Callable[[int], Any], items: list[int] = ITEMS, **options: Any) -> Iterator[Any]:
    return in_processes(
        work, items, **{"jobs": 2, "per_process": 4, "doing": "counts", "hint": "count again", **options}
    )


def test_results_come_in_order_or_as_they_are_known() -> None:
    def slowly(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(in_threads(slowly, ITEMS, jobs=4, in_order=True)) == ITEMS
    assert list(processes(slowly)) == ITEMS
    for found in (list(in_threads(slowly, ITEMS, jobs=4)), list(processes(slowly, in_order=False))):
        assert sorted(found) == ITEMS
        assert found[0] != 0


def test_no_item_is_taken_before_its_turn() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in ITEMS:
            taken.append(item)
            yield item

    results = in_threads(lambda item: item, items(), jobs=3)
    next(results)
    assert len(taken) <= 6
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("in_order", [True, False])
def test_an_error_ends_the_work(in_order: bool) -> None:
    begun: list[int] = []

    def fails(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise KbuildError("three")
        time.sleep(0.01)
        return item

    with pytest.raises(KbuildError, match="three"):
        list(in_threads(fails, ITEMS, jobs=2, in_order=in_order))
    assert len(begun) < len(ITEMS)
    with pytest.raises(KbuildError, match="three"):
        list(processes(fails, in_order=in_order))


@pytest.mark.parametrize("in_order", [True, False])
def test_after_an_error_no_item_is_begun(in_order: bool) -> None:
    begun: list[int] = []
    failed = threading.Event()

    def second_fails(item: int) -> int:
        begun.append(item)
        if item == 1:
            failed.set()
            raise KbuildError("one")
        # (the first is under way for long enough to begin all the others)
        failed.wait(20)
        time.sleep(0.3 if item == 0 else 0)
        return item

    found = []
    with pytest.raises(KbuildError, match="one"):
        for item in in_threads(second_fails, ITEMS, jobs=2, in_order=in_order):
            found.append(item)
    assert (begun, found) == ([0, 1], [0] if in_order else [])


def test_few_items_or_one_job_stay_in_this_process() -> None:
    here = os.getpid()
    pid: Callable[[int], int] = lambda item: os.getpid()  # noqa: E731
    assert set(processes(pid, ITEMS[:7])) == {here}
    assert set(processes(pid, jobs=1)) == {here}
    elsewhere = set(processes(pid, ITEMS[:8]))
    assert here not in elsewhere
    assert 1 <= len(elsewhere) <= 2


def test_what_a_process_remembers_stays_in_it() -> None:
    remembered: list[int] = []

    def remember(item: int) -> int:
        remembered.append(item)
        return len(remembered)

    assert max(processes(remember)) > 1
    assert remembered == []


def test_a_killed_process_is_an_error_with_a_hint() -> None:
    def killed(item: int) -> int:
        if item == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(KbuildError) as raised:
        list(processes(killed))
    assert raised.value.message == "a process that counts was killed"
    assert raised.value.hint == "count again"


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, time\n"
        "from kbuildpy.parallel import in_processes\n"
        "def work(item):\n"
        "    pathlib.Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        "list(in_processes(work, range(8), jobs=2, per_process=1, doing='waits', hint=''))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    try:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    workers = [int(path.name) for path in tmp_path.iterdir()]
    until(lambda: not any(is_alive(worker) for worker in workers))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("in_order", [True, False])
def test_a_signal_in_the_moment_of_the_fork_is_not_handled_as_the_parent_does(
    number: signal.Signals, in_order: bool
) -> None:
    code = (
        "import os, signal, sys\n"
        "from kbuildpy.parallel import in_processes\n"
        "def handle(*_):\n"
        "    os.write(2, b'handled in a worker')\n"
        f"signal.signal({number}, handle)\n"
        # (a worker that SIGTERM ends, as a pool ends it, would break the pool: here it only must not be handled)
        f"os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), {number}))\n"
        f"options = dict(jobs=2, per_process=1, doing='counts', hint='', in_order={in_order})\n"
        "try:\n"
        "    print(sorted(in_processes(lambda item: item, range(8), **options)))\n"
        "except Exception as broken:\n"
        "    print(broken)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = "a process that counts was killed"
    assert done.stderr == ""
    assert done.stdout.strip() == (str(list(range(8))) if number == signal.SIGINT else ended)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_describing_the_work_imports_no_pool() -> None:
    code = "import sys\nimport kbuildpy.parallel\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"multiprocessing", "concurrent.futures", "ctypes"} & set(done.stdout.split())

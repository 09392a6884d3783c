# SPDX-License-Identifier: GPL-2.0-only
"""`once`: threads that ask at the same time."""

from __future__ import annotations

import threading
import time

import pytest

from kbuildpy.once import once


def test_threads_that_ask_at_the_same_time_get_what_one_call_found() -> None:
    calls: list[int] = []

    def find() -> int:
        calls.append(1)
        time.sleep(0.05)
        return len(calls)

    get, found = once(find), []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]


def test_an_error_is_not_kept() -> None:
    answers = iter([None, 3])

    def find() -> int:
        answer = next(answers)
        if answer is None:
            raise ValueError
        return answer

    get = once(find)
    with pytest.raises(ValueError):
        get()
    assert get() == get() == 3

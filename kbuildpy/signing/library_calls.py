# SPDX-License-Identifier: GPL-2.0-only
"""The one thread that calls PKCS#11 libraries.

They are started without being told that there are threads, so the standard allows one call at a time (`pkcs11`). And a
token may never answer: who waits for this thread can be interrupted, who is in a library's call cannot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from kbuildpy.leave import may_not_return
from kbuildpy.signing.private_key import KeyGoneError

Result = TypeVar("Result")


class LibraryCalls:
    """Calls that are made one after the other, in a thread that is begun with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun: SimpleQueue[_Call[Any]] = SimpleQueue()
        self._waiting: set[_Call[Any]] = set()

    def run(self, work: Callable[[], Result], given_up: threading.Event | None = None) -> Result:
        """What `work` returns or raises, which calls a library. Raises `KeyGoneError` after `give_up`."""
        if threading.current_thread() is self._thread:
            return work()
        call = _Call(work, given_up)
        with self._lock:
            if given_up is not None and given_up.is_set():
                raise _gone()
            # (in a forked process the thread is not alive)
            if self._thread is None or not self._thread.is_alive():
                self._begun = SimpleQueue()
                self._thread = threading.Thread(target=_serve, args=(self._begun,), daemon=True)
                self._thread.start()
            self._waiting.add(call)
            self._begun.put(call)
        try:
            return call.result()
        finally:
            with self._lock:
                self._waiting.discard(call)

    def give_up(self, given_up: threading.Event) -> None:
        """Have those who wait for a call with this event wait no longer. One that has begun goes on, others are not
        made, now and later."""
        with self._lock:
            given_up.set()
            for call in self._waiting:
                if call.given_up is given_up:
                    call.give_up()


class _Call(Generic[Result]):
    """A call, and what became of it."""

    def __init__(self, work: Callable[[], Result], given_up: threading.Event | None) -> None:
        self.given_up = given_up
        self._work: Callable[[], Result] | None = work
        self._ended = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def make(self) -> None:
        """Make the call, unless nobody waits for it any more."""
        work, self._work = self._work, None
        if work is None:
            return
        try:
            with may_not_return():
                self._results.append(work())
        except BaseException as error:
            self._error = error
        self._ended.set()

    def result(self) -> Result:
        """Wait for the end of the call; what it returned. Raises what it raised, and `KeyGoneError` after `give_up`."""
        try:
            self._ended.wait()
            if self._results:
                return self._results[0]
            raise self._error or _gone()
        finally:
            # (an exception's traceback, and a call that was not made, may have a PIN)
            self._work = self._error = None

    def give_up(self) -> None:
        """End the wait."""
        self._work = None
        self._ended.set()


def _gone() -> KeyGoneError:
    return KeyGoneError("the token is not waited for any more")


def _serve(begun: SimpleQueue[_Call[Any]]) -> None:
    while True:
        begun.get().make()

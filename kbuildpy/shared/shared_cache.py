# SPDX-License-Identifier: GPL-2.0-only
"""The build's side of a shared cache: it asks the courier, and waits no longer than that may save.

An account is kept: waiting costs, and what is taken earns the time that it took to make. Where the cache costs more
than it earns, or does not answer at all, it is left alone for the rest of the build, which says so once.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kbuildpy.kbuild.stamps import stamp
from kbuildpy.own_command import courier_command
from kbuildpy.printable import printable
from kbuildpy.shared.address import shown_address

START_SECONDS = 15.0
"""How long the courier may take to start: it imports the library of the store."""
OBJECT_SECONDS = 5.0
"""How long an entry may take: as a module that takes long to compile."""
ALLOWED_SECONDS = 5.0
"""By how much the waiting may be longer than what it has saved, besides a tenth of the build's time."""
END_SECONDS = 10.0
"""How long the end of a build waits for entries that are still being stored; or a tenth of the build's time."""
_MOST_EARNED = 30.0
_MOST_FAILURES = 3


class TakenEntry(NamedTuple):
    """An entry that was taken: its files lie beside `into`."""

    files: list[Path]
    """Where they are; the taker moves them."""
    facts: Mapping[str, Any]
    """What was stored with them."""


class SharedCache:
    """The shared cache at `address` in one build. `key_file` signs or verifies entries, "" for none; `tell` prints a
    warning."""

    def __init__(
        self,
        address: str,
        *,
        key_file: str,
        tell: Callable[[str], None],
        object_seconds: float = OBJECT_SECONDS,
        allowed_seconds: float = ALLOWED_SECONDS,
    ) -> None:
        self._address = address
        self._shown = shown_address(address)
        self._key_file = key_file
        self._tell = tell
        self._object_seconds = object_seconds
        self._allowed_seconds = allowed_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._storing: set[int] = set()
        self._damaged: set[str] = set()
        self._told: set[str] = set()
        self._began = time.monotonic()
        self._number = 0
        self._balance = 0.0
        self._failures = 0
        self._ready = False
        self._writes = True
        self._off = False

    @property
    def is_signed(self) -> bool:
        """Whether only what has a signature is taken."""
        return bool(self._key_file)

    def begin(self) -> None:
        """Start the courier, which takes longer than to ask it."""
        with self._lock:
            if self._process is not None or self._off:
                return
            first = {"address": self._address, "key_file": self._key_file}
            command = courier_command()
            try:
                # (no other program that the build starts gets these ends of the pipes)
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
                assert self._process.stdin is not None
                os.set_blocking(self._process.stdin.fileno(), False)
            except OSError as error:
                self._give_up(f"its process does not start: {error.strerror}")
                return
            threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
            self._send(first)

    def take(self, key: str, into: Path, *, count: int) -> TakenEntry | None:
        """The entry under `key`, with its `count` files beside `into`; None if there is none that is right, in time."""
        self.begin()
        began = time.monotonic()
        with self._lock:
            if not self._lock.wait_for(lambda: self._ready or self._off, START_SECONDS):
                self._give_up(f"no start within {START_SECONDS:g} s")
            if self._off:
                return None
            began, number = max(began, time.monotonic()), self._next()
            self._send({"do": "get", "id": number, "key": key, "into": str(into), "count": count})
            if not self._lock.wait_for(lambda: number in self._answers or self._off, self._object_seconds):
                self._give_up(f"no answer within {self._object_seconds:g} s")
            answer = self._answers.pop(number, None)
            if self._off or answer is None:
                return None
            found = answer["state"] == "found"
            self._balance += min(float(answer["seconds"]), _MOST_EARNED) if found else 0.0
            self._balance -= time.monotonic() - began
            # (to fill an empty cache on a distant server costs a little for each object)
            if self._balance < -self._allowed_seconds - (time.monotonic() - self._began) / 10:
                self._give_up("it takes longer than building")
            self._note(key, answer)
        if not found:
            return None
        return TakenEntry([Path(f"{into}.{number}") for number in range(count)], answer["facts"])

    def give(
        self,
        key: str,
        files: Sequence[str],
        *,
        seconds: float,
        facts: Mapping[str, Any],
        texts: Mapping[str, str],
    ) -> None:
        """Let the courier store `files` under `key` while the build goes on; of the paths in `texts` that text. They
        took `seconds` to make; `facts` go with them. An entry that is there stays, unless it was damaged."""
        self.begin()
        with self._lock:
            if self._off or not self._writes or not self._ready:
                return
            number = self._next()
            self._storing.add(number)
            self._send(
                {
                    "do": "put",
                    "id": number,
                    "key": key,
                    "files": list(files),
                    "stamps": [stamp(path) for path in files],
                    "texts": dict(texts),
                    "seconds": seconds,
                    "facts": dict(facts),
                    "replace": key in self._damaged,
                }
            )

    def end(self, *, wait: bool = True) -> None:
        """Wait a while for what is being stored, and end the courier."""
        with self._lock:
            most = max(END_SECONDS, (time.monotonic() - self._began) / 10) if wait else 0.0
            if not self._lock.wait_for(lambda: not self._storing or self._off, most) and not self._off and wait:
                self._warn(f"has not got {len(self._storing)} objects within {most:.1f} s: the server is slow")
            self._stop()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Called in a thread: hear the courier's answers, until it ends."""
        assert process.stdout is not None
        with suppress(ValueError, OSError):  # (it was killed)
            for line in process.stdout:
                with self._lock:
                    self._hear(json.loads(line))
                    self._lock.notify_all()
        with self._lock:
            if not self._off:
                self._give_up("its process has ended")
            self._lock.notify_all()
        process.stdout.close()

    def _hear(self, answer: dict[str, Any]) -> None:
        if "failed" in answer:
            self._give_up(answer["failed"], answer["hint"])
        elif "ready" in answer:
            self._ready, self._writes = True, bool(answer["writes"])
        elif answer["id"] in self._storing:
            self._storing.discard(answer["id"])
            if answer["state"] == "failed" and self._writes:
                # (who may only read: the rest of the build does)
                self._writes = False
                self._storing.clear()
                self._warn(f"cannot be written: {printable(answer['reason'])}")
        else:
            self._answers[answer["id"]] = answer

    def _note(self, key: str, answer: Mapping[str, Any]) -> None:
        if answer["state"] == "damaged":
            self._damaged.add(key)
            self._warn("has damaged objects, which are made again", f"{key}: {printable(answer['reason'])}")
        elif answer["state"] == "failed":
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                self._give_up(printable(answer["reason"]))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, request: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        rest, until = json.dumps(request).encode() + b"\n", time.monotonic() + self._object_seconds
        try:
            descriptor = self._process.stdin.fileno()
            while rest:
                _, ready, _ = select.select([], [descriptor], [], max(until - time.monotonic(), 0))
                if not ready:
                    self._give_up("its process does not read")
                    return
                rest = rest[os.write(descriptor, rest) :]
        except (OSError, ValueError):
            self._give_up("its process has ended")

    def _give_up(self, why: str, hint: str = "") -> None:
        if not self._off:
            self._warn(f"is not used any more: {why}", hint)
            self._stop()

    def _stop(self) -> None:
        self._off = True
        process = self._process
        if process is not None and process.stdin is not None:
            process.kill()
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)  # (one that waits for a dead file server cannot even be killed)
        self._lock.notify_all()

    def _warn(self, what: str, hint: str = "") -> None:
        if what not in self._told:
            self._told.add(what)
            lines: Iterable[str] = (f"  {line}" for line in hint.splitlines())
            self._tell("\n".join([f"kbuildpy: warning: the shared cache {self._shown} {what}", *lines]))


def remove_taken(into: Path, *, count: int) -> None:
    """Remove the files of an entry of `count` files that were taken beside `into`, and are still there."""
    for number in range(count):
        with suppress(OSError):
            os.unlink(f"{into}.{number}")  # noqa: PTH108

# SPDX-License-Identifier: GPL-2.0-only
"""The process that carries entries between a build and a store.

It reads requests and writes answers, a line of JSON each; the first line has the address, which may hold a password, so
that it is in no list of arguments. It can hang, or use up its memory: the build kills it and goes on (`shared_cache`).
It ends when its standard input does, that is, also when the build is killed.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.stamps import stamp
from kbuildpy.pin import keep_out_of_core_dumps
from kbuildpy.shared.entry import DamagedEntry, Entry, pack_entry, unpack_entry
from kbuildpy.shared.open_store import open_store
from kbuildpy.shared.store import Store

_GETTERS, _PUTTERS = 8, 2
_MOST_MEMORY = 1 << 32


def main() -> int:
    """Serve the requests on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # (the build's to handle)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    requests = (json.loads(line) for line in sys.stdin)
    Courier(next(requests), sys.stdout).serve(requests)
    os._exit(0)  # (threads that hang do not hold it up)


class Courier:
    """Carries out requests, in threads: `first` is the first one, answers go to `stream`."""

    def __init__(self, first: Mapping[str, Any], stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._gets: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._puts: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._sign: Callable[[bytes], bytes] | None = None
        self._verify: Callable[[bytes, bytes], bool] | None = None
        self._store: Store | None = None
        try:
            if first["key_file"]:
                keep_out_of_core_dumps()
                from kbuildpy.shared.entry_key import read_entry_key  # (slow: cryptography)

                key = read_entry_key(Path(first["key_file"]))
                self._sign, self._verify = key.sign, key.verify
            self._store = open_store(first["address"])
        except Exception as error:
            self._answer({"failed": _words(error), "hint": getattr(error, "hint", "")})
            return
        self._answer({"ready": True, "writes": self._verify is None or self._sign is not None})

    def serve(self, requests: Iterable[Mapping[str, Any]]) -> None:
        """Hand `requests` to threads until there are no more. What is not stored by then is not stored: the build has
        waited for it as long as it wants (`SharedCache.end`)."""
        for waiting, do, count in ((self._gets, self._get, _GETTERS), (self._puts, self._put, _PUTTERS)):
            for _ in range(count):
                threading.Thread(target=self._work, args=(waiting, do), daemon=True).start()
        for request in requests:
            (self._gets if request["do"] == "get" else self._puts).put(request)

    def _work(
        self, waiting: queue.SimpleQueue[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> None:
        while True:
            request = waiting.get()
            try:
                answer = do(request)
            except DamagedEntry as error:
                answer = {"state": "damaged", "reason": error.message}
            except Exception as error:  # (whatever the store's library raises)
                answer = {"state": "failed", "reason": _words(error)}
            self._answer({"id": request["id"], **answer})

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._store is not None
        stored = self._store.get(request["key"])
        if stored is None:
            return {"state": "missing"}
        entry = unpack_entry(request["key"], stored, verify=self._verify)
        if len(entry.files) != request["count"]:
            raise DamagedEntry("it has other files than the build makes")
        for number, content in enumerate(entry.files):
            Path(f"{request['into']}.{number}").write_bytes(content)
        return {
            "state": "found",
            "seconds": entry.seconds,
            "facts": entry.facts,
            "size": len(stored),
        }

    def _put(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._store is not None
        files = tuple(_text(request, path) or Path(path).read_bytes() for path in request["files"])
        if any(list(stamp(path)) != seen for path, seen in zip(request["files"], request["stamps"], strict=True)):
            return {"state": "changed"}
        entry = Entry(files, request["seconds"], request["facts"])
        stored = pack_entry(request["key"], entry, sign=self._sign)
        self._store.put(request["key"], stored, replace=request["replace"])
        return {"state": "stored", "size": len(stored)}

    def _answer(self, answer: Mapping[str, Any]) -> None:
        with self._lock:
            self._stream.write(f"{json.dumps(answer)}\n")
            self._stream.flush()


def _text(request: Mapping[str, Any], path: str) -> bytes | None:
    """The text to store in place of the file `path`, if there is one."""
    text = request["texts"].get(path)
    return None if text is None else os.fsencode(text)


def _words(error: BaseException) -> str:
    """An error in one line; of a library's, which may quote an address with its password, the kind and the number."""
    if isinstance(error, KbuildError):
        return error.message
    if isinstance(error, OSError) and error.errno:
        return f"{type(error).__name__}: {os.strerror(error.errno)}"
    status = getattr(error, "status", None)
    return f"{type(error).__name__}: HTTP status {status}" if status else type(error).__name__


if __name__ == "__main__":
    main()

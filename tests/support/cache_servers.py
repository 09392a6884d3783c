# SPDX-License-Identifier: GPL-2.0-only
"""Servers that hold a shared cache: one of HTTP that behaves, hangs, dies or lies, Redis, and one of S3.

Its moods: "well" stores and gives; "folders" wants MKCOL first, as WebDAV servers do; "hangs" accepts and
never answers; "dies" breaks off in the middle of an answer; "endless" never ends one; "damaged" flips a bit of each
object; "another" gives another object than was asked for; "read-only" refuses to store; "slow" needs 2 s for each.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.free_port import free_port, wait_for_port


class CacheServer(ThreadingHTTPServer):
    """A server of HTTP in this process, with what it holds in memory."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood = "well"
        self.objects: dict[str, bytes] = {}
        self.folders: set[str] = {"/"}
        self.asked: list[str] = []
        self.is_over = threading.Event()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/cache"

    def handle_error(self, request: object, client_address: object) -> None:
        """(clients that give up are what the tests are about)"""


class _Handler(BaseHTTPRequestHandler):
    server: CacheServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # (as nginx; or each answer waits 40 ms for the client's acknowledgement)

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(f"GET {self.path}")
        if server.mood == "hangs":
            server.is_over.wait()
            return
        if server.mood == "slow":
            server.is_over.wait(2)
        if server.mood == "endless":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not server.is_over.is_set():
                    self.wfile.write(bytes(1 << 16))
            self.close_connection = True
            return
        stored = server.objects.get(self.path)
        if server.mood == "another" and stored:
            stored = next((other for path, other in server.objects.items() if path != self.path), None)
        if server.mood == "damaged" and stored:
            middle = len(stored) // 2
            stored = stored[:middle] + bytes([stored[middle] ^ 1]) + stored[middle + 1 :]
        self._answer(200 if stored is not None else 404, stored or b"", dies=server.mood == "dies")

    def do_PUT(self) -> None:
        server = self.server
        server.asked.append(f"PUT {self.path}")
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if server.mood == "hangs":
            server.is_over.wait()
        elif server.mood == "read-only":
            self._answer(403, b"")
        elif server.mood == "folders" and f"{self.path.rpartition('/')[0]}/" not in server.folders:
            self._answer(409, b"")
        elif self.path in server.objects and self.headers["If-None-Match"] == "*":
            self._answer(412, b"")
        else:
            server.objects[self.path] = content
            self._answer(201, b"")

    def do_MKCOL(self) -> None:
        parent = f"{self.path.rstrip('/').rpartition('/')[0]}/"
        if parent in self.server.folders or parent == "/cache/":
            self.server.folders.add(self.path)
        self._answer(201, b"")

    def _answer(self, status: int, content: bytes, *, dies: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + 1000 * dies))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if dies else content)
        if dies:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def cache_server() -> Iterator[CacheServer]:
    """A server of HTTP that behaves well at first."""
    server = CacheServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def redis_address(place: Path) -> Iterator[str]:
    """The address of a Redis server with its files in `place`; skips where there is none."""
    pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server (apt-get install redis-server)")
    port = free_port()
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(place)]
    with _started(words, port):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def s3_endpoint(bucket: str) -> Iterator[dict[str, str]]:
    """Variables for the environment that lead to a server of S3 with an empty `bucket`; skips where moto is missing."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with _started([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        with urlopen(Request(f"{endpoint}/{bucket}", method="PUT"), timeout=30) as answer:
            assert answer.status == 200
        yield {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }


@contextmanager
def _started(words: list[str], port: int) -> Iterator[None]:
    """The server that `words` start, which listens at `port` when this goes on."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield
    finally:
        process.kill()
        process.wait()

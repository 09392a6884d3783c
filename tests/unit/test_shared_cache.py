# SPDX-License-Identifier: GPL-2.0-only
"""The build's side of a shared cache: what a server that hangs, dies or lies costs, and what is taken from it."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kbuild.stamps import stamp
from kbuildpy.own_command import courier_command
from kbuildpy.shared.courier import Courier
from kbuildpy.shared.entry import Entry, pack_entry
from kbuildpy.shared.shared_cache import SharedCache
from tests.support.cache_servers import CacheServer, cache_server

fsspec_store: Any = pytest.importorskip("kbuildpy.shared.fsspec_store")

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture(name="server")
def _server() -> Iterator[CacheServer]:
    pytest.importorskip("aiohttp")
    with cache_server() as server:
        yield server


class Build:
    """A build that uses the cache at `address`: what it is told, and how it takes and gives."""

    def __init__(self, place: Path, address: str, *, object_seconds: float = 1.0, allowed_seconds: float = 5.0) -> None:
        self.place = place
        self.told: list[str] = []
        self.cache = SharedCache(
            address,
            key_file="",
            tell=self.told.append,
            object_seconds=object_seconds,
            allowed_seconds=allowed_seconds,
        )

    def take(self, key: str = KEY, *, count: int = 1) -> list[bytes] | None:
        taken = self.cache.take(key, self.place / "taken", count=count)
        return None if taken is None else [path.read_bytes() for path in taken.files]

    def make(self, *contents: bytes, key: str = KEY) -> None:
        """Look for an object, make it, and give it to others."""
        assert self.take(key, count=len(contents)) is None
        names = [str(self.place / f"made{number}") for number in range(len(contents))]
        for name, content in zip(names, contents, strict=True):
            Path(name).write_bytes(content)
        self.cache.give(key, names, seconds=1.5, facts={"what": "ever"}, texts={})
        self.cache.end()


def stored_path(key: str = KEY) -> str:
    """Where the server has an object."""
    return f"/cache/kbuildpy-1/{key[:2]}/{key}"


def stored(*contents: bytes, key: str = KEY) -> dict[str, bytes]:
    """An object as a server has it."""
    return {stored_path(key): pack_entry(key, Entry(contents, 1.5))}


def test_another_build_takes_what_one_has_made(tmp_path: Path, server: CacheServer) -> None:
    Build(tmp_path, server.address).make(b"object" * 1000, b"words")
    [(path, content)] = server.objects.items()
    assert path == stored_path()
    assert len(content) < 1000
    other = Build(tmp_path, server.address)
    assert other.take(count=2) == [b"object" * 1000, b"words"]
    assert other.take(OTHER) is None
    other.cache.end()
    assert other.told == []


def test_what_is_there_stays(tmp_path: Path, server: CacheServer) -> None:
    other = Build(tmp_path, server.address)
    assert other.take() is None
    server.objects |= stored(b"first")
    (tmp_path / "late").write_bytes(b"second")
    other.cache.give(KEY, [str(tmp_path / "late")], seconds=1, facts={}, texts={})
    other.cache.end()
    assert server.asked[-1].startswith("PUT")
    assert server.objects == stored(b"first")


def test_an_object_of_other_files_than_the_build_makes_is_refused(tmp_path: Path, server: CacheServer) -> None:
    server.objects |= stored(*([b""] * 1000))
    build = Build(tmp_path, server.address)
    assert build.take() is None
    build.cache.end()
    assert "it has other files than the build makes" in build.told[0]
    assert list(tmp_path.iterdir()) == []


def test_makes_the_folders_that_a_server_wants_first(tmp_path: Path, server: CacheServer) -> None:
    server.mood = "folders"
    build = Build(tmp_path, server.address)
    build.make(b"object")
    assert len(server.objects) == 1
    assert build.told == []


def test_a_server_that_hangs_is_asked_once_and_left_alone(tmp_path: Path, server: CacheServer) -> None:
    server.mood = "hangs"
    build = Build(tmp_path, server.address)
    build.cache.begin()
    began = time.monotonic()
    for _ in range(20):
        assert build.take() is None
    build.cache.end()
    # (to import the library of the store takes its time, beside the second that an object may take)
    assert 1.0 < time.monotonic() - began < 10
    assert len(server.asked) == 1
    [text] = build.told
    assert text == f"kbuildpy: warning: the shared cache {server.address} is not used any more: no answer within 1 s"


def test_a_server_that_hangs_while_it_stores_ends_the_build_in_time(
    tmp_path: Path, server: CacheServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbuildpy.shared.shared_cache.END_SECONDS", 0.5)
    build = Build(tmp_path, server.address)
    assert build.take() is None
    server.mood = "hangs"
    (tmp_path / "made").write_bytes(b"object")
    build.cache.give(KEY, [str(tmp_path / "made")], seconds=1, facts={}, texts={})
    began = time.monotonic()
    build.cache.end()
    assert 0.4 < time.monotonic() - began < 3
    [text] = build.told
    assert "has not got 1 objects within 0.5 s" in text


def test_an_interrupted_build_waits_for_nothing(tmp_path: Path, server: CacheServer) -> None:
    build = Build(tmp_path, server.address)
    assert build.take() is None
    server.mood = "hangs"
    (tmp_path / "made").write_bytes(b"object")
    build.cache.give(KEY, [str(tmp_path / "made")], seconds=1, facts={}, texts={})
    began = time.monotonic()
    build.cache.end(wait=False)
    assert time.monotonic() - began < 2
    assert build.told == []


def test_the_courier_serves_with_less_memory_than_it_would_take(tmp_path: Path, server: CacheServer) -> None:
    server.objects |= stored(b"object")
    request = {"do": "get", "id": 1, "key": KEY, "into": str(tmp_path / "taken"), "count": 1}
    lines = "".join(f"{json.dumps(line)}\n" for line in ({"address": server.address, "key_file": ""}, request))
    with subprocess.Popen(
        courier_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(lines.encode())
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline() or b"{}") for _ in range(2)]
        process.stdin.close()
    assert [answers[0].get("ready"), answers[1].get("state")] == [True, "found"]


@pytest.mark.parametrize("mood", ["dies", "endless"])
def test_a_server_that_breaks_off_or_never_ends_gives_nothing(tmp_path: Path, server: CacheServer, mood: str) -> None:
    server.objects |= stored(bytes(range(256)) * 40)
    server.mood = mood
    build = Build(tmp_path, server.address)
    for _ in range(5):
        assert build.take() is None
    build.cache.end()
    # (on a busy machine the answer to one question is cut off, and that to the next does not come)
    assert 1 <= len(build.told) <= 2
    assert all("is not used any more: " in text or "damaged objects" in text for text in build.told)


def test_an_answer_without_an_end_is_not_read_for_ever(server: CacheServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec_store, "_MOST", 1 << 20)
    server.mood = "endless"
    content = fsspec_store.HttpStore(server.address).get(KEY)
    assert content is not None
    assert 1 << 20 < len(content) < 1 << 23


@pytest.mark.parametrize("mood", ["damaged", "another"])
def test_a_server_that_lies_is_found_out_and_its_object_replaced(
    tmp_path: Path, server: CacheServer, mood: str
) -> None:
    right = stored(b"object" * 100)
    server.objects |= right | stored(b"other" * 100, key=OTHER)
    server.mood = mood
    build = Build(tmp_path, server.address)
    assert build.take() is None
    server.objects[stored_path()] = b"rubbish"
    made = tmp_path / "made"
    made.write_bytes(b"object" * 100)
    build.cache.give(KEY, [str(made)], seconds=1.5, facts={}, texts={})
    build.cache.end()
    [text] = build.told
    assert "has damaged objects, which are made again\n" in text
    assert KEY in text
    assert ("its digest is wrong" if mood == "damaged" else "stored under another key") in text
    assert server.objects[stored_path()] == right[stored_path()]


def test_nobody_listens(tmp_path: Path, server: CacheServer) -> None:
    build = Build(tmp_path, "http://127.0.0.1:9/cache")
    for _ in range(5):
        assert build.take() is None
    build.cache.end()
    [text] = build.told
    assert "127.0.0.1:9/cache is not used any more: Client" in text


def test_who_may_only_read_reads_on(tmp_path: Path, server: CacheServer) -> None:
    server.objects |= stored(b"object")
    server.mood = "read-only"
    build = Build(tmp_path, server.address)
    assert build.take(OTHER) is None
    (tmp_path / "made").write_bytes(b"new")
    for _ in range(2):
        build.cache.give(OTHER, [str(tmp_path / "made")], seconds=1, facts={}, texts={})
        until = time.monotonic() + 20
        while build.cache._storing and time.monotonic() < until:
            time.sleep(0.02)
    assert build.take() == [b"object"]
    build.cache.end()
    [text] = build.told
    assert "cannot be written: OSError" in text
    assert sum(asked.startswith("PUT") for asked in server.asked) == 1


def test_a_cache_that_takes_longer_than_it_saves_is_left_alone(tmp_path: Path, server: CacheServer) -> None:
    server.mood = "slow"
    build = Build(tmp_path, server.address, object_seconds=5.0, allowed_seconds=0.5)
    assert build.take() is None
    assert build.take() is None
    build.cache.end()
    [text] = build.told
    assert "is not used any more: it takes longer than building" in text
    assert len(server.asked) == 1


def test_a_password_is_neither_told_nor_in_the_list_of_processes(tmp_path: Path, server: CacheServer) -> None:
    address = server.address.replace("http://", "http://me:secret@")
    server.mood = "hangs"
    build = Build(tmp_path, address)
    build.cache.begin()
    process = build.cache._process
    assert process is not None
    assert b"courier" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"secret" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert build.take() is None
    build.cache.end()
    assert build.told and "secret" not in build.told[0]


def test_a_store_that_is_not_installed_or_not_known_is_told(tmp_path: Path) -> None:
    build = Build(tmp_path, "nosuch://place/x")
    assert build.take() is None
    build.cache.end()
    [text] = build.told
    assert "is not used any more: nosuch://place/x: " in text


def test_a_file_that_has_changed_since_it_was_given_is_not_stored(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"object")
    put = {
        "do": "put",
        "id": 1,
        "key": KEY,
        "files": [str(made)],
        "stamps": [[1, 6]],
        "texts": {},
        "seconds": 1,
        "facts": {},
        "replace": False,
    }
    answers = io.StringIO()
    courier = Courier({"address": str(tmp_path / "cache"), "key_file": ""}, answers)
    courier.serve([put, put | {"id": 2, "stamps": [list(stamp(made))], "key": OTHER}])
    until = time.monotonic() + 20
    while answers.getvalue().count("\n") < 3 and time.monotonic() < until:
        time.sleep(0.02)
    found = {answer.get("id"): answer.get("state") for answer in map(json.loads, answers.getvalue().splitlines())}
    assert found == {None: None, 1: "changed", 2: "stored"}
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [OTHER]

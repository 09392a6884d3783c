# SPDX-License-Identifier: GPL-2.0-only
"""The stores of a shared cache: a directory, Redis, S3, each the real thing; and what cleans them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.shared.address import check_address, directory_of, shown_address
from kbuildpy.shared.clean import clean_store
from kbuildpy.shared.directory_store import DirectoryStore
from kbuildpy.shared.open_store import open_store
from kbuildpy.shared.store import Store
from tests.support.cache_servers import redis_address, s3_endpoint

KEYS = ["ab" * 32, "cd" * 32, "ef" * 32]


@pytest.fixture(name="store", params=["directory", "memory", "redis", pytest.param("s3", marks=pytest.mark.sweep)])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind (memory stands for all that fsspec knows besides S3)."""
    kind: str = request.param
    if kind == "directory":
        yield open_store(str(tmp_path / "cache"))
    elif kind == "memory":
        pytest.importorskip("fsspec")
        yield open_store(f"memory://{tmp_path.name}/cache")
    elif kind == "redis":
        with redis_address(tmp_path) as address:
            yield open_store(address)
    else:
        with s3_endpoint("bucket") as variables, pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            nowhere = open_store("s3://no-such-bucket/cache")
            assert nowhere.get(KEYS[0]) is None
            with pytest.raises(Exception, match="bucket"):
                nowhere.put(KEYS[0], b"first", replace=False)
            yield open_store("s3://bucket/some/cache")


def test_a_store_keeps_what_is_there_and_tells_what_it_has(store: Store) -> None:
    assert store.get(KEYS[0]) is None
    assert list(store.entries()) == []
    store.put(KEYS[0], b"first", replace=False)
    store.put(KEYS[0], b"second", replace=False)
    assert store.get(KEYS[0]) == b"first"
    store.put(KEYS[0], b"third", replace=True)
    store.put(KEYS[1], b"x" * 1000, replace=True)
    assert store.get(KEYS[0]) == b"third"
    assert sorted(entry.size for entry in store.entries()) == [5, 1000]
    assert all(abs(entry.used - time.time()) < 60 for entry in store.entries())
    for entry in store.entries():
        store.remove(entry.name)
        store.remove(entry.name)
    assert store.get(KEYS[0]) is None
    assert list(store.entries()) == []


def test_readers_of_a_directory_see_whole_entries_only(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    contents = [bytes([number]) * 300_000 for number in range(8)]
    seen: set[bytes | None] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.add(store.get(KEYS[0]))

    def write(content: bytes) -> None:
        for _ in range(10):
            store.put(KEYS[0], content, replace=True)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()
    assert len(seen) > 1
    assert seen <= {None, *contents}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [KEYS[0]]


def test_the_first_writer_to_a_directory_stays_also_when_others_have_seen_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    store.put(KEYS[0], b"first", replace=False)
    store.put(KEYS[0], b"second", replace=False)
    assert store.get(KEYS[0]) == b"first"


def test_a_directory_without_links_still_gets_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = DirectoryStore(tmp_path)
    store.put(KEYS[0], b"first", replace=False)
    assert store.get(KEYS[0]) == b"first"


def test_cleaning_keeps_what_was_used_last(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for number, key in enumerate(KEYS):
        store.put(key, bytes(1000), replace=False)
        path = tmp_path / "kbuildpy-1" / key[:2] / key
        os.utime(path, (0, time.time() - 10_000 * (number + 1)))
    assert store.get(KEYS[2]) is not None  # (the oldest one: it is the newest now)
    left = tmp_path / "kbuildpy-1/ab/.new-left"
    left.write_bytes(b"half")
    os.utime(left, (0, time.time() - 100_000))
    assert clean_store(store, most=2500, dry_run=True) == (3, 3000, 1, 1000)
    assert not left.exists()
    assert clean_store(store, most=2500) == (3, 3000, 1, 1000)
    assert [store.get(key) is not None for key in KEYS] == [True, False, True]
    assert clean_store(store, most=2500) == (2, 2000, 0, 0)
    assert clean_store(store, most=0) == (2, 2000, 2, 2000)


def test_the_command_shows_and_cleans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = DirectoryStore(tmp_path)
    for key in KEYS:
        store.put(key, bytes(1 << 20), replace=False)
    assert cli.main(["cache", "show", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 3 objects, 3.0 MiB\n"
    assert cli.main(["cache", "clean", "--size", "2M", str(tmp_path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "address": str(tmp_path),
        "entries": 3,
        "size": 3 << 20,
        "removed": 1,
        "freed": 1 << 20,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cache"], "no action: show or clean"),
        (["cache", "claen", "x"], "claen: show or clean"),
        (["cache", "clean", "x"], "--size belongs to clean, and clean needs it"),
        (["cache", "show", "x", "--size", "5G"], "--size belongs to clean"),
        (["cache", "show"], "one address of a shared cache"),
        (["cache", "show", "s3://"], "not the address of a shared cache"),
        (["cache", "show", "http://127.0.0.1:9/x"], "does not list what it has"),
        (["build", "--cache-readonly"], "no shared cache is named"),
        (["build", "--cache", "s3://"], "not the address of a shared cache"),
        (["build", "--cache", "x", "--cache-key", "/nonexistent"], "/nonexistent: no such file"),
    ],
)
def test_a_wrong_call_is_one_error(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KBUILDPY_SHARED_CACHE", raising=False)
    if "http" in words[-1]:
        pytest.importorskip("aiohttp")
    assert cli.main(words) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_library_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "kbuildpy.shared.redis_store", raising=False)
    with pytest.raises(KbuildError, match="redis://host/0: the Python packages for it are not installed") as caught:
        open_store("redis://:secret@host/0")
    assert caught.value.hint == "pip install fsspec aiohttp s3fs redis"


def test_a_password_in_an_address_is_not_shown() -> None:
    assert shown_address("redis://:secret@host:1/0?password=secret") == "redis://host:1/0"
    assert shown_address("https://me:secret@host/x#y") == "https://host/x"
    assert shown_address("https://me:se@cret@host/x") == "https://host/x"
    assert shown_address("redis://:sec/ret@host:6379/0") == "redis://host:6379/0"
    assert shown_address("/nfs/a@b?") == "/nfs/a@b?"
    # (a slash that nobody escaped may be in a password: too little is shown rather than too much)
    assert shown_address("https://host/a@b/c") == "https://b/c"


def test_the_words_of_a_library_about_an_address_are_not_shown() -> None:
    pytest.importorskip("redis")
    with pytest.raises(KbuildError) as failed:
        open_store("redis://:sec/ret@host:6379/0")
    assert "'sec'" not in str(failed.value) and "sec/ret" not in str(failed.value)


@pytest.mark.parametrize("address", ["", "s3://", "http:///"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError):
        check_address(address)


def test_an_address_is_a_directory_unless_it_has_a_scheme() -> None:
    assert directory_of("file:///nfs/cache") == directory_of("/nfs/cache") == Path("/nfs/cache")
    assert directory_of("cache") == Path.cwd() / "cache"
    assert directory_of("s3://bucket/x") is None


def test_a_kind_of_store_that_nobody_knows_is_an_error_with_a_hint() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(KbuildError, match="nosuch://place/x: Protocol not known") as caught:
        open_store("nosuch://place/x")
    assert "s3://BUCKET/PREFIX" in caught.value.hint

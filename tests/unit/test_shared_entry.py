# SPDX-License-Identifier: GPL-2.0-only
"""Entries of a shared cache: damage is found wherever it is, and only who has the key signs."""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from kbuildpy.shared.entry import MOST_BYTES, DamagedEntry, Entry, pack_entry, unpack_entry
from kbuildpy.shared.entry_key import EntryKey, read_entry_key

KEY = "ab" * 32
ENTRY = Entry((b"object" * 500, b"", bytes(range(256))), 1.25, {"headers": [["/a", "b"]], "said": "warning\n"})


def forged(header: object, content: bytes) -> bytes:
    """An entry with a right digest, and whatever else."""
    body = (header if isinstance(header, bytes) else json.dumps(header).encode()) + b"\n" + content
    return b"kbuildpy-entry 1\n" + sha256(body).hexdigest().encode() + b" -\n" + body


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private key and its public one, made by openssl."""
    place = tmp_path_factory.mktemp("keys")
    private, public = place / "cache.key", place / "cache.pub"
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private])
    run(["openssl", "pkey", "-in", private, "-pubout", "-out", public])
    private.chmod(0o600)
    return private, public


def test_an_entry_comes_back_as_it_was() -> None:
    assert unpack_entry(KEY, pack_entry(KEY, ENTRY)) == ENTRY


def test_a_flipped_bit_is_found_wherever_it_is() -> None:
    stored = pack_entry(KEY, ENTRY)
    chosen = random.Random(16)
    for place in [*range(200), *(chosen.randrange(len(stored)) for _ in range(300))]:
        damaged = bytearray(stored)
        damaged[place] ^= 1 << chosen.randrange(8)
        signature = slice(stored.index(b" -\n") + 1, stored.index(b" -\n") + 2)
        if signature.start <= place < signature.stop:
            continue  # (without a key nobody looks at the signature)
        with pytest.raises(DamagedEntry):
            unpack_entry(KEY, bytes(damaged))


@pytest.mark.parametrize("length", [0, 5, 17, 80, 150, 400])
def test_a_part_of_an_entry_is_none(length: int) -> None:
    with pytest.raises(DamagedEntry):
        unpack_entry(KEY, pack_entry(KEY, ENTRY)[:length])


def test_an_entry_in_the_place_of_another_is_refused() -> None:
    with pytest.raises(DamagedEntry, match="stored under another key"):
        unpack_entry("cd" * 32, pack_entry(KEY, ENTRY))


GOOD = {"key": KEY, "sizes": [3], "seconds": 1, "facts": {}}


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (b"[" * 100000, zlib.compress(b"abc")),
        ([], zlib.compress(b"abc")),
        (GOOD | {"sizes": [-3, 6]}, zlib.compress(b"abc")),
        (GOOD | {"sizes": "abc"}, zlib.compress(b"abc")),
        (GOOD | {"sizes": [2]}, zlib.compress(b"abc")),
        (GOOD | {"sizes": [4]}, zlib.compress(b"abc")),
        (GOOD | {"sizes": [1 << 62]}, zlib.compress(b"abc")),
        (GOOD | {"sizes": [MOST_BYTES + 1]}, zlib.compress(b"abc")),
        (GOOD | {"seconds": "x"}, zlib.compress(b"abc")),
        (GOOD | {"seconds": float("nan")}, zlib.compress(b"abc")),
        (GOOD | {"seconds": -1}, zlib.compress(b"abc")),
        (GOOD | {"facts": []}, zlib.compress(b"abc")),
        (GOOD, b"abc"),
        ({"key": KEY}, zlib.compress(b"abc")),
    ],
)
def test_a_forged_entry_with_a_right_digest_is_refused(header: object, content: bytes) -> None:
    with pytest.raises(DamagedEntry):
        unpack_entry(KEY, forged(header, content))


def test_a_right_entry_made_by_hand_is_taken() -> None:
    """(else the test above would pass for entries that are wrong otherwise)"""
    assert unpack_entry(KEY, forged(GOOD, zlib.compress(b"abc"))).files == (b"abc",)


def test_an_entry_that_would_fill_the_memory_is_not_unpacked() -> None:
    stored = forged(GOOD, zlib.compress(bytes(1 << 24)))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedEntry):
            unpack_entry(KEY, stored)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_entry_has_a_greatest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = pack_entry(KEY, ENTRY)
    monkeypatch.setattr("kbuildpy.shared.entry.MOST_BYTES", 2000)
    with pytest.raises(DamagedEntry):
        unpack_entry(KEY, stored)
    with pytest.raises(KbuildError, match="too large"):
        pack_entry(KEY, ENTRY)


def test_a_key_refuses_what_it_did_not_sign(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = map(read_entry_key, keys)
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "other"])
    (tmp_path / "other").chmod(0o600)
    other = read_entry_key(tmp_path / "other")
    assert private.sign is not None and public.sign is None
    stored = pack_entry(KEY, ENTRY, sign=private.sign)
    for key in (private, public):
        assert unpack_entry(KEY, stored, verify=key.verify) == ENTRY
    for wrong in (pack_entry(KEY, ENTRY), pack_entry(KEY, ENTRY, sign=other.sign), _with_signature(stored, b"zz")):
        with pytest.raises(DamagedEntry, match="not signed by the key of this cache"):
            unpack_entry(KEY, wrong, verify=public.verify)


def test_a_signature_is_openssls(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private = read_entry_key(keys[0])
    stored = pack_entry(KEY, ENTRY, sign=private.sign)
    line, _, body = stored.partition(b"\n")[2].partition(b"\n")
    (tmp_path / "digest").write_bytes(sha256(body).digest())
    (tmp_path / "signature").write_bytes(bytes.fromhex(line.split()[1].decode()))
    words: list[str | Path] = [
        "-pubin",
        "-inkey",
        keys[1],
        "-rawin",
        "-in",
        tmp_path / "digest",
        "-sigfile",
        tmp_path / "signature",
    ]
    assert "Verified Successfully" in run(["openssl", "pkeyutl", "-verify", *words]).text


def _with_signature(stored: bytes, signature: bytes) -> bytes:
    magic, line, body = stored.split(b"\n", 2)
    return b"\n".join([magic, line.split()[0] + b" " + signature, body])


@pytest.mark.parametrize("kind", ["missing", "rubbish", "rsa", "others", "encrypted"])
def test_a_key_that_cannot_be_used_is_told_with_its_reason(kind: str, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "key"
    if kind == "rubbish":
        path.write_text("rubbish")
    elif kind == "rsa":
        run(["openssl", "genrsa", "-out", path, "1024"])
    elif kind == "encrypted":
        run(["openssl", "pkey", "-in", keys[0], "-aes256", "-passout", "pass:x", "-out", path])
    elif kind == "others":
        path.write_bytes(keys[0].read_bytes())
        path.chmod(0o640)
    reasons = {
        "missing": "No such file",
        "rubbish": "not an Ed25519 key in PEM",
        "rsa": "not an Ed25519 key",
        "others": "other users can read this private key",
        "encrypted": "without a passphrase",
    }
    with pytest.raises(KbuildError, match=reasons[kind]) as caught:
        _: EntryKey = read_entry_key(path)
    assert caught.value.hint

# SPDX-License-Identifier: GPL-2.0-only
"""An entry of a shared cache: the files that one action made, as bytes that can be checked.

    kbuildpy-entry 1\\n
    SHA-256 of what follows the second line, a space, an Ed25519 signature of that or -\\n
    a line of JSON: the key, the files' sizes, how long they took, what the build wants to know\\n
    the files' contents, one after the other, compressed

The key is below the digest, so an entry that was put in the place of another one is refused. Nothing is decompressed
before the digest and the signature are right, and never more than the sizes say.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kbuildpy.errors import KbuildError

MOST_BYTES = 1 << 28
"""The most bytes of an entry, compressed or not: a module with debug information has a few million."""

_MAGIC = b"kbuildpy-entry 1\n"
_MOST_HEADER = 1 << 22


class DamagedEntry(KbuildError):
    """An entry that is not what was stored under its key, or that nobody has signed who may."""


@dataclass(frozen=True)
class Entry:
    """What one action made."""

    files: tuple[bytes, ...]
    """The contents of its targets, in their order."""
    seconds: float
    """How long it took."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the build that takes the entry compares with its own files (JSON)."""


def pack_entry(key: str, entry: Entry, *, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    """The bytes of `entry` under `key`, signed by `sign`. Raises `KbuildError` for one that is too large."""
    sizes = [len(content) for content in entry.files]
    header = {"key": key, "sizes": sizes, "seconds": round(entry.seconds, 3), "facts": entry.facts}
    body = json.dumps(header, separators=(",", ":")).encode() + b"\n" + zlib.compress(b"".join(entry.files), 1)
    if sum(sizes) > MOST_BYTES or len(body) > MOST_BYTES:
        raise KbuildError(f"{key}: too large for a shared cache")
    digest = hashlib.sha256(body).digest()
    signature = sign(digest).hex() if sign else "-"
    return b"%s%s %s\n%s" % (_MAGIC, digest.hex().encode(), signature.encode(), body)


def unpack_entry(key: str, stored: bytes, *, verify: Callable[[bytes, bytes], bool] | None = None) -> Entry:
    """The entry in `stored`. `verify` says whether a digest has the signature. Raises `DamagedEntry`."""
    if not stored.startswith(_MAGIC):
        raise DamagedEntry("not an entry")
    line, _, body = stored[len(_MAGIC) :].partition(b"\n")
    stated, _, signature = line.partition(b" ")
    digest = hashlib.sha256(body).digest()
    if stated != digest.hex().encode():
        raise DamagedEntry("its digest is wrong")
    if verify is not None and not (signature != b"-" and verify(digest, _from_hex(signature))):
        raise DamagedEntry("not signed by the key of this cache")
    text, _, packed = body.partition(b"\n")
    return _read(key, text, packed)


def _read(key: str, text: bytes, packed: bytes) -> Entry:
    try:
        if len(text) > _MOST_HEADER:
            raise ValueError("a long header")
        header = json.loads(text)
        sizes = [int(size) for size in header["sizes"]]
        seconds, facts = float(header["seconds"]), header["facts"]
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError("no number of seconds")
        if header["key"] != key or min(sizes, default=0) < 0 or not isinstance(facts, dict):
            raise DamagedEntry("stored under another key" if header["key"] != key else "its header is wrong")
        content = _decompressed(packed, sum(sizes))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, zlib.error) as error:
        raise DamagedEntry("its header or its contents are wrong") from error
    files, at = [], 0
    for size in sizes:
        files.append(content[at : at + size])
        at += size
    return Entry(tuple(files), seconds, facts)


def _decompressed(packed: bytes, size: int) -> bytes:
    if size > MOST_BYTES:
        raise ValueError("too large")
    reader = zlib.decompressobj()
    content = reader.decompress(packed, size + 1)
    if len(content) != size or (not reader.eof and reader.decompress(reader.unconsumed_tail, 1)):
        raise ValueError("not the stated size")
    return content


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return b""

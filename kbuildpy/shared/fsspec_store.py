# SPDX-License-Identifier: GPL-2.0-only
"""Entries on a server that fsspec knows: S3, Google's and Azure's stores, SFTP and many more, and HTTP.

Of HTTP fsspec only reads; here PUT writes, and MKCOL makes the folders that a WebDAV server wants first. What is there
already is kept by `If-None-Match: *`, which S3 and most servers obey; the others replace it by the same contents.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import fsspec
from fsspec.asyn import sync

from kbuildpy.errors import KbuildError
from kbuildpy.shared.address import scheme_of, shown_address
from kbuildpy.shared.entry import MOST_BYTES
from kbuildpy.shared.store import FOLDER, Stored, path_of

_FSSPEC: Any = fsspec
_MOST = MOST_BYTES + (1 << 20)
_CHUNK = 1 << 20
# Schemes whose first folder is a bucket, which is paid for: none is made.
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci"})


class FsspecStore:
    """The entries below `address`."""

    def __init__(self, address: str) -> None:
        options = {"s3": {"use_listings_cache": False}}.get(scheme_of(address), {})
        self._address = address
        self._files, self._top = _FSSPEC.core.url_to_fs(address, **options)

    def get(self, key: str) -> bytes | None:
        """As `Store`."""
        try:
            # (with a range, s3fs does not ask for the size first)
            stored: bytes = self._files.cat_file(f"{self._top}/{path_of(key)}", start=0, end=_MOST)
        except FileNotFoundError:
            return None
        return stored

    def put(self, key: str, stored: bytes, *, replace: bool) -> None:
        """As `Store`."""
        path = f"{self._top}/{path_of(key)}"
        try:
            self._files.pipe_file(path, stored, mode="overwrite" if replace else "create")
        except FileExistsError:
            return
        except FileNotFoundError:
            if scheme_of(self._address) in _BUCKETS:
                raise
            self._files.makedirs(posixpath.dirname(path), exist_ok=True)
            self._files.pipe_file(path, stored)
        except OSError as error:
            if _status(error) != 412:  # (there already)
                raise

    def entries(self) -> Iterator[Stored]:
        """As `Store`; stores of this kind tell when an entry was written, not when it was read."""
        found = self._files.find(f"{self._top}/{FOLDER}", detail=True)
        for name, facts in found.items():
            if facts.get("type") == "file":
                yield Stored(name, int(facts.get("size") or 0), _written(facts))

    def remove(self, name: str) -> None:
        """As `Store`."""
        try:
            self._files.rm_file(name)
        except FileNotFoundError:
            return


class HttpStore:
    """The entries below `address`, which is https:// or http://."""

    def __init__(self, address: str) -> None:
        # (trust_env: names and passwords of ~/.netrc, proxies of the environment)
        self._files = _FSSPEC.filesystem(scheme_of(address), client_kwargs={"trust_env": True})
        self._address = address
        self._top = address.rstrip("/")

    def get(self, key: str) -> bytes | None:
        """As `Store`."""
        return sync(self._files.loop, self._get, f"{self._top}/{path_of(key)}")  # type: ignore[no-any-return]

    def put(self, key: str, stored: bytes, *, replace: bool) -> None:
        """As `Store`."""
        sync(self._files.loop, self._put, path_of(key), stored, replace)

    def entries(self) -> Iterator[Stored]:
        """As `Store`: HTTP cannot tell."""
        raise KbuildError(
            f"{shown_address(self._address)}: a server of HTTP does not list what it has",
            hint="clean it on the server: kbuildpy cache clean --size SIZE DIRECTORY",
        )

    def remove(self, name: str) -> None:
        """As `Store`; nothing names an entry here."""

    async def _get(self, address: str) -> bytes | None:
        session = await self._files.set_session()
        async with session.get(address) as answer:
            if answer.status in (404, 410):
                return None
            answer.raise_for_status()
            found = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                found += chunk
                if len(found) > _MOST:
                    break  # (not an entry, however it goes on)
            return bytes(found)

    async def _put(self, path: str, stored: bytes, replace: bool) -> None:
        session = await self._files.set_session()
        status = await self._put_once(session, path, stored, replace)
        if status == 409:  # (RFC 4918: a folder is missing)
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                async with session.request("MKCOL", f"{self._top}/{'/'.join(parts[:depth])}/") as answer:
                    await answer.read()
            status = await self._put_once(session, path, stored, replace)
        if status >= 400 and status != 412:
            raise OSError(f"the server refuses to store: HTTP status {status}")

    async def _put_once(self, session: Any, path: str, stored: bytes, replace: bool) -> int:
        headers = {} if replace else {"If-None-Match": "*"}
        async with session.put(f"{self._top}/{path}", data=stored, headers=headers) as answer:
            await answer.read()
            return int(answer.status)


def _status(error: BaseException) -> int:
    """The HTTP status in an error of botocore's that s3fs has translated; 0 for none."""
    cause = error.__cause__
    response = getattr(cause, "response", None)
    facts = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return int(facts.get("HTTPStatusCode") or 0)


def _written(facts: Any) -> float:
    found = next(
        (facts[name] for name in ("LastModified", "mtime", "modified", "updated", "created") if facts.get(name)), 0
    )
    if isinstance(found, datetime):
        return found.timestamp()
    return float(found) if isinstance(found, int | float) else 0.0

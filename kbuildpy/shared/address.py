# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of shared caches: `/nfs/cache`, `https://host/cache`, `s3://bucket/cache`, `redis://host/0`."""

from __future__ import annotations

import re
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.printable import printable

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# (a password may have a slash or another `@` that nobody escaped)
_SECRET = re.compile(r"(?<=://).*@", re.DOTALL)

FORMS = "a directory, or s3://BUCKET/PREFIX, https://HOST/PATH, redis://HOST:PORT/N"
"""The forms of addresses, for people."""
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def scheme_of(address: str) -> str:
    """The scheme of an address, in small letters; "" for the path of a directory."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def directory_of(address: str) -> Path | None:
    """The directory that an address names, absolute; None for one on a server."""
    if scheme_of(address) not in ("", "file"):
        return None
    return Path(_SCHEME.sub("", address)).absolute()


def shown_address(address: str) -> str:
    """An address as it may be printed: without name, password and query, which may be secret."""
    return printable(_QUERY.sub("", _SECRET.sub("", address)) if scheme_of(address) else address)


def check_address(address: str) -> None:
    """Raise `UsageError` for an address that names no place."""
    if not address or (not re.sub(r"^[a-z0-9+.-]+:/*", "", address, flags=re.IGNORECASE) and scheme_of(address)):
        raise UsageError(
            f"{shown_address(address) or 'an empty address'}: not the address of a shared cache",
            hint=FORMS,
        )

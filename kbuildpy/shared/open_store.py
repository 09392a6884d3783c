# SPDX-License-Identifier: GPL-2.0-only
"""Opens the store at an address."""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.shared.address import FORMS, check_address, directory_of, scheme_of, shown_address
from kbuildpy.shared.directory_store import DirectoryStore
from kbuildpy.shared.store import Store

_EXTRA = "pip install fsspec aiohttp s3fs redis"


def open_store(address: str) -> Store:
    """The store at `address`; nothing is asked of a server yet.

    Raises `UsageError` for what is no address, `KbuildError` for a kind that is not known or not installed.
    """
    check_address(address)
    scheme, directory = scheme_of(address), directory_of(address)
    if directory is not None:
        return DirectoryStore(directory)
    try:
        if scheme in ("redis", "rediss", "unix"):
            from kbuildpy.shared.redis_store import RedisStore  # (may not be installed)

            return RedisStore(address)
        from kbuildpy.shared.fsspec_store import FsspecStore, HttpStore  # (may not be installed)

        return HttpStore(address) if scheme in ("http", "https") else FsspecStore(address)
    except ImportError as error:
        # (fsspec does not always say which)
        missing = f" ({error.name})" if error.name else ""
        message = f"{shown_address(address)}: the Python packages for it are not installed{missing}"
        raise KbuildError(message, hint=_EXTRA) from error
    except ValueError as error:
        # (the library's other words may have a password in them)
        unknown = "Protocol not known"
        why = unknown if unknown in str(error) else "not an address that the library for it understands"
        raise KbuildError(f"{shown_address(address)}: {why}", hint=FORMS) from error

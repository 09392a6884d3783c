# SPDX-License-Identifier: GPL-2.0-only
"""Whether a key's name is a file's or a token's, for those that only pass it on."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.errors import UsageError

SCHEME = "pkcs11:"


def is_pkcs11_uri(name: str) -> bool:
    """Whether `name` is meant as the URI of something on a token, not as a path."""
    return name[: len(SCHEME)].lower() == SCHEME


def require_tokens(keys: Sequence[str]) -> None:
    """Raises `UsageError` for keys in files, where sessions of tokens, or several tokens, are asked for."""
    for key in keys:
        if not is_pkcs11_uri(key):
            raise UsageError(
                f"{key}: a key in a file needs no sessions, and no other key beside it",
                hint="name one key; it signs on all processors",
            )

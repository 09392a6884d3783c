# SPDX-License-Identifier: GPL-2.0-only
"""Whether a key's name is a file's or a token's, for those that only pass it on."""

from __future__ import annotations

SCHEME = "pkcs11:"


def is_pkcs11_uri(name: str) -> bool:
    """Whether `name` is meant as the URI of something on a token, not as a path."""
    return name[: len(SCHEME)].lower() == SCHEME

# SPDX-License-Identifier: GPL-2.0-only
"""A private key: in a file (`file_key`), on a token (`pkcs11`), on several at a time (`key_pool`), or elsewhere, with
signatures that were brought from there (`imported_signatures`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kbuildpy.errors import KbuildError
from kbuildpy.signing.hashes import Hash

Passphrase = Callable[[str], str | None]
"""A function that returns the passphrase for the key in a file, by the file's name; None if there is none."""


class KeyGoneError(KbuildError):
    """The key is lost (its token was unplugged), so the remaining files cannot be signed either."""


@dataclass(frozen=True)
class KeyOrigin:
    """Where a signature was made."""

    key: str
    """The key's file, or its `pkcs11:` URI without what belongs to one machine."""
    host: str
    """The name of the machine."""


class PrivateKey(Protocol):
    """A private key."""

    @property
    def algorithm(self) -> str:
        """`rsa`, `ecdsa`, `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`."""
        ...

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """A signature over `contents`; RSA as PKCS#1 v1.5, ECDSA as DER, ML-DSA over the contents themselves."""
        ...

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """The signature over contents of which only the `digest` by `hash` is here. Raises `UsageError` for ML-DSA,
        which signs contents."""
        ...

    def origin(self) -> KeyOrigin:
        """Where the last signature was made that this thread was given."""
        ...

    def public_bytes(self) -> bytes:
        """The public key (SubjectPublicKeyInfo, DER)."""
        ...

    def give_up(self) -> None:
        """End signatures that are waited for, of a token that may never answer: `sign` and `sign_digest` raise
        `KeyGoneError` then, in the threads that are in them."""
        ...


def this_machine(key: str) -> KeyOrigin:
    """The origin of what is signed with `key` here."""
    return KeyOrigin(key, os.uname().nodename)

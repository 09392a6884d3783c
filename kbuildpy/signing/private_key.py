# SPDX-License-Identifier: GPL-2.0-only
"""A private key in a file (`file_key`) or on a token (`pkcs11`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kbuildpy.errors import KbuildError
from kbuildpy.signing.hashes import Hash

Passphrase = Callable[[str], str | None]
"""A function that returns the passphrase for the key in a file, by the file's name; None if there is none."""


class KeyGoneError(KbuildError):
    """The key is lost (its token was unplugged), so the remaining files cannot be signed either."""


class PrivateKey(Protocol):
    """A private key."""

    @property
    def algorithm(self) -> str:
        """`rsa`, `ecdsa`, `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`."""
        ...

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """A signature over `contents`; RSA as PKCS#1 v1.5, ECDSA as DER, ML-DSA over the contents themselves."""
        ...

    def public_bytes(self) -> bytes:
        """The public key (SubjectPublicKeyInfo, DER)."""
        ...

# SPDX-License-Identifier: GPL-2.0-only
"""What signs: a private key, wherever it is (`file_key`, `pkcs11`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kbuildpy.errors import KbuildError
from kbuildpy.signing.hashes import Hash

Passphrase = Callable[[str], str | None]
"""Asked, with the name of a file, for the passphrase of its key; None when there is none to be had."""


class KeyGoneError(KbuildError):
    """A key that was there signs no more (its token was unplugged): there is no sense in trying the next file."""


class PrivateKey(Protocol):
    """Something that signs."""

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

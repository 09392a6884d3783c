# SPDX-License-Identifier: GPL-2.0-only
"""The key of a shared cache: an Ed25519 key in PEM. Who has the private key writes, who has the public one reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from kbuildpy.errors import KbuildError
from kbuildpy.files import read_regular

_HINT = "openssl genpkey -algorithm ed25519 -out cache.key; openssl pkey -in cache.key -pubout -out cache.pub"


@dataclass(frozen=True)
class EntryKey:
    """What a key can do."""

    verify: Callable[[bytes, bytes], bool]
    """Whether a digest has this signature."""
    sign: Callable[[bytes], bytes] | None
    """The signature of a digest; None with a public key."""


def read_entry_key(path: Path) -> EntryKey:
    """The key in the file `path`. Raises `KbuildError`, and for a private key that other users can read."""
    try:
        text = read_regular(path)
        readable = path.stat().st_mode & 0o077
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror or error}", hint=_HINT) from error
    private: Ed25519PrivateKey | None = None
    try:
        if b"PRIVATE KEY" in text:
            key = load_pem_private_key(text, None)
            private = key if isinstance(key, Ed25519PrivateKey) else None
            public: object = private.public_key() if private else None
        else:
            public = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KbuildError(f"{path}: not an Ed25519 key in PEM without a passphrase", hint=_HINT) from error
    if not isinstance(public, Ed25519PublicKey):
        raise KbuildError(f"{path}: not an Ed25519 key", hint=_HINT)
    if private and readable:
        raise KbuildError(f"{path}: other users can read this private key", hint=f"chmod 600 {path}")
    return EntryKey(_verifier(public), private.sign if private else None)


def _verifier(public: Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    def verify(digest: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, digest)
        except InvalidSignature:
            return False
        return True

    return verify

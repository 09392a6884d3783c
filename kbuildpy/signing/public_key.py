# SPDX-License-Identifier: GPL-2.0-only
"""Public keys, as cryptography's objects: their kinds, and the one place that verifies with them."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from kbuildpy.errors import UsageError
from kbuildpy.signing.hashes import Hash

ML_DSA_OIDS = {
    "ml-dsa-44": "2.16.840.1.101.3.4.3.17",
    "ml-dsa-65": "2.16.840.1.101.3.4.3.18",
    "ml-dsa-87": "2.16.840.1.101.3.4.3.19",
}
"""The object identifier that names each kind of ML-DSA key, and the signatures by it."""


def key_algorithm(key: Any) -> str:
    """What kind of key cryptography's object is, "" for none that signs modules."""
    name = type(key).__name__
    if "RSA" in name:
        return "rsa"
    if "EllipticCurve" in name or name.startswith("EC"):
        return "ecdsa"
    for size in ("44", "65", "87"):
        if f"MLDSA{size}" in name.upper():
            return f"ml-dsa-{size}"
    return ""


def refuse_without_digest(algorithm: str) -> None:
    """Raises `UsageError` for a kind of key that signs contents and not their digest."""
    if algorithm.startswith("ml-dsa"):
        raise UsageError(
            f"{algorithm.upper()} signs a module's contents, not its digest",
            hint="sign the modules themselves, or use an RSA or ECDSA key",
        )


def is_signature_by(key: Any, signature: bytes, message: bytes, hash: Hash | None) -> bool:
    """Whether `signature` was made with the private key of `key`: over `message`, the digest that `hash` makes of the
    contents, or without `hash` (ML-DSA) over the contents themselves
    (crypto/asymmetric_keys/public_key.c: public_key_verify_signature)."""
    kind = key_algorithm(key)
    try:
        if hash is None:
            key.verify(signature, message)
        elif kind == "rsa":
            key.verify(signature, message, padding.PKCS1v15(), utils.Prehashed(hash.algorithm()))
        else:
            key.verify(signature, message, ec.ECDSA(utils.Prehashed(hash.algorithm())))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True

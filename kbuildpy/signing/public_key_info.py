# SPDX-License-Identifier: GPL-2.0-only
"""The encoding of a public key. (Apart from `public_key`: cryptography's encoders take 20 ms to import.)"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def public_bytes(key: Any) -> bytes:
    """A public key, as cryptography's object, as SubjectPublicKeyInfo (DER)."""
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

# SPDX-License-Identifier: GPL-2.0-only
"""The digests that a module signature may use, by the names that sign-file and CONFIG_MODULE_SIG_HASH have for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from kbuildpy.errors import UsageError


@dataclass(frozen=True)
class Hash:
    """A digest: its name, its object identifier, how RSA and ECDSA signatures of it are called."""

    name: str
    oid: str
    ecdsa_oid: str

    def of(self, contents: bytes) -> bytes:
        """The digest of `contents`."""
        new: Callable[[bytes], Any] = getattr(hashlib, self.name.replace("-", "_"))
        return bytes(new(contents).digest())

    def algorithm(self) -> HashAlgorithm:
        """cryptography's object for this digest."""
        found: HashAlgorithm = getattr(hashes, self.name.upper().replace("-", "_"))()
        return found


_SHA = "2.16.840.1.101.3.4.2"
_SIGNATURES = "2.16.840.1.101.3.4.3"
_ECDSA = "1.2.840.10045.4"

HASHES = {
    item.name: item
    for item in (
        Hash("sha1", "1.3.14.3.2.26", f"{_ECDSA}.1"),
        Hash("sha224", f"{_SHA}.4", f"{_ECDSA}.3.1"),
        Hash("sha256", f"{_SHA}.1", f"{_ECDSA}.3.2"),
        Hash("sha384", f"{_SHA}.2", f"{_ECDSA}.3.3"),
        Hash("sha512", f"{_SHA}.3", f"{_ECDSA}.3.4"),
        Hash("sha3-224", f"{_SHA}.7", f"{_SIGNATURES}.9"),
        Hash("sha3-256", f"{_SHA}.8", f"{_SIGNATURES}.10"),
        Hash("sha3-384", f"{_SHA}.9", f"{_SIGNATURES}.11"),
        Hash("sha3-512", f"{_SHA}.10", f"{_SIGNATURES}.12"),
    )
}
BY_OID = {item.oid: item for item in HASHES.values()}
RSA_OVER_SHA3 = {
    f"{_SIGNATURES}.{number}": HASHES[f"sha3-{bits}"] for number, bits in enumerate((224, 256, 384, 512), 13)
}
"""The digests of signatures by RSA over SHA-3, by what names the signature. (Those over SHA-2 begin otherwise.)"""
BY_SIGNATURE_OID = {**RSA_OVER_SHA3, **{item.ecdsa_oid: item for item in HASHES.values()}}


def find_hash(name: str) -> Hash:
    """The digest called `name`; `UsageError` for one that no kernel knows."""
    found = HASHES.get(name.lower())
    if found is None:
        raise UsageError(f"{name}: no such hash algorithm", hint=f"choose one of {', '.join(HASHES)}")
    return found

# SPDX-License-Identifier: GPL-2.0-only
"""The result of verifying a signature (`verify`). Imports no cryptography: reports name it, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedCertificate:
    """A certificate that came with a signature: that of a delegate, or of one between it and an enrolled key."""

    name: str
    issuer: str
    """Who delegated: the name of the certificate that signs this one."""
    serial: int
    not_before: str
    """When it begins to be valid (RFC 3339, UTC), "" where that cannot be read. Kernels do not look."""
    not_after: str
    """When that ends."""


@dataclass(frozen=True, kw_only=True)
class SignatureState:
    """A module's signature, looked at with one keyring."""

    kernel: str
    """The release of the keyring's kernel, "" for none."""
    signed: bool
    """The kernel would look for a signature: the module ends with the marker."""
    valid: bool | None
    """The signature is intact; None if no known certificate can verify it."""
    trusted: bool
    """The kernel takes it."""
    reason: str | None
    """Why the kernel does not trust it; None if it does."""
    errno: str | None = None
    """The name of the kernel's error; None if it trusts the signature."""
    signer: str | None = None
    """What modinfo calls so: who issued the signer's certificate, as the signature says; where it names a key, the name
    of that key's certificate, as far as it is known."""
    certificate: str | None = None
    """The name of the signer's certificate; None where that is not known: the signature names its issuer only."""
    issuer: str | None = None
    """Who issued that certificate; None for one that signs itself, and where nobody is named."""
    serial: int | None = None
    """The serial number of that certificate."""
    hash: str | None = None
    """The digest; None where the signature could not be read."""
    algorithm: str | None = None
    """The kind of key."""
    key_id: bytes = b""
    """What modinfo calls `sig_key`."""
    signature: bytes = b""
    """The signature by the key, as modinfo prints it."""
    anchor: str | None = None
    """Where the certificate was found that the signature was checked with."""
    delegates: tuple[EmbeddedCertificate, ...] = ()
    """The certificates that came with the signature, from the signer's own upwards."""

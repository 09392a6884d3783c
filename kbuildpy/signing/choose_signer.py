# SPDX-License-Identifier: GPL-2.0-only
"""Chooses the signer: from the names of a key, a certificate and a digest.

The gate to the files that import cryptography, for those that may sign and may not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbuildpy.signing.private_key import Passphrase
    from kbuildpy.signing.signer import Signer


def choose_signer(
    key: str,
    certificate: str = "",
    hash: str = "",
    *,
    kernel_hash: Callable[[], str] = lambda: "",
    use_key_id: bool = False,
    embed: bool = False,
    passphrase: Passphrase | None = None,
    more_keys: Sequence[str] = (),
    sessions: int = 1,
    tell: Callable[[str], None] | None = None,
) -> Signer:
    """The signer of `key` and `certificate`, each a file or a `pkcs11:` URI; "" where the key's file or token has both.

    `hash` names the digest; "" for what the kernel's own modules have (`kernel_hash`; SHA-256 if that is ""), and for
    SHA-512 with ML-DSA, which is for no other (crypto/asymmetric_keys/public_key.c: software_key_determine_akcipher).
    With `embed` the certificate comes with each signature, and so do those behind it in its file.
    `passphrase` is asked where KBUILD_SIGN_PIN does not tell. Keys on tokens sign in so many `sessions` each at a time;
    `more_keys` are URIs of tokens with copies of the key; `tell` gets a sentence when one is lost.

    Raises `UsageError` for a digest or a key that modules are not signed with, `KbuildError` for what holds no key or
    certificate, or not one that belongs to the other.
    """
    from kbuildpy.signing.open_signer import open_signer  # (slow: cryptography)

    return open_signer(
        key,
        certificate,
        hash,
        kernel_hash=kernel_hash,
        use_key_id=use_key_id,
        embed=embed,
        passphrase=passphrase,
        more_keys=more_keys,
        sessions=sessions,
        tell=tell,
    )

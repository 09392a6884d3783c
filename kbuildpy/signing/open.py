"""From the names of a key, a certificate and a digest to a signer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import UsageError
from kbuildpy.signing.hashes import find_hash

if TYPE_CHECKING:
    from kbuildpy.signing.keys import Passphrase, PrivateKey
    from kbuildpy.signing.signer import Signer


def open_signer(
    key: str,
    certificate: str = "",
    hash: str = "",
    *,
    kernel_hash: str = "",
    use_key_id: bool = False,
    passphrase: Passphrase | None = None,
) -> Signer:
    """The signer of `key` (a file, or a `pkcs11:` URI) and `certificate` ("" where the key's file holds both).

    `hash` names the digest; "" for what the kernel's own modules have (`kernel_hash`), and for SHA-512 with ML-DSA,
    which is for no other (crypto/asymmetric_keys/public_key.c: software_key_determine_akcipher). `passphrase` is asked
    where KBUILD_SIGN_PIN does not tell. Raises `UsageError` for a digest or a key that modules are not signed with,
    `KbuildError` for files that hold no key or certificate, or not one that belongs to the other.
    """
    # (cryptography takes its time to import)
    from kbuildpy.signing.keys import environment_passphrase, load_certificate, require_match
    from kbuildpy.signing.signer import Signer

    chosen = find_hash(hash) if hash else None
    if key.startswith("pkcs11:") and not certificate:
        raise UsageError("a key in hardware comes without its certificate", hint="name that: --cert CERT")
    loaded = load_certificate(Path(certificate or key))
    opened = _load_key(key, environment_passphrase(passphrase))
    # (a URI may name more of a token than is to be repeated)
    named = "the key in hardware" if key.startswith("pkcs11:") else key
    require_match(opened, loaded, f"{named}, {certificate}" if certificate else named)
    if chosen is None:
        chosen = find_hash("sha512" if opened.algorithm.startswith("ml-dsa") else kernel_hash or "sha256")
    return Signer(opened, loaded, chosen, use_key_id)


def _load_key(name: str, passphrase: Passphrase) -> PrivateKey:
    from kbuildpy.signing.keys import load_key

    return load_key(Path(name), passphrase)

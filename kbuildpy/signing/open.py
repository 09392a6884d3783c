"""From the names of a key, a certificate and a digest to a signer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.pkcs11_uri import is_pkcs11_uri, parse_pkcs11_uri

if TYPE_CHECKING:
    from kbuildpy.signing.keys import Passphrase
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
    """The signer of `key` (a file, or a `pkcs11:` URI) and `certificate` ("": it is where the key is).

    `hash` names the digest; "" for what the kernel's own modules have (`kernel_hash`), and for SHA-512 with ML-DSA,
    which is for no other (crypto/asymmetric_keys/public_key.c: software_key_determine_akcipher). `passphrase` is asked
    where KBUILD_SIGN_PIN does not tell. Raises `UsageError` for a digest or a key that modules are not signed with,
    `KbuildError` for files that hold no key or certificate, or not one that belongs to the other.
    """
    # (cryptography takes its time to import)
    from kbuildpy.signing.keys import environment_passphrase, find_certificate, find_key, require_match
    from kbuildpy.signing.signer import Signer

    chosen = find_hash(hash) if hash else None
    ask = environment_passphrase(passphrase)
    if certificate or not is_pkcs11_uri(key):
        # (first, so that nobody types a passphrase for nothing)
        loaded = find_certificate(certificate or key)
        opened = find_key(key, ask)
    else:
        from kbuildpy.signing.pkcs11 import load_token_pair

        opened, loaded = load_token_pair(key, ask)
    require_match(opened, loaded, ", ".join(dict.fromkeys(_shown(name) for name in (key, certificate) if name)))
    if chosen is None:
        chosen = find_hash("sha512" if opened.algorithm.startswith("ml-dsa") else kernel_hash or "sha256")
    return Signer(opened, loaded, chosen, use_key_id)


def _shown(name: str) -> str:
    """A URI in full may be long, and names files that are nobody's business."""
    return str(parse_pkcs11_uri(name)) if is_pkcs11_uri(name) else name

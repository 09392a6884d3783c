# SPDX-License-Identifier: GPL-2.0-only
"""Signs DSSE envelopes with the key that signs modules, and checks their signatures. It imports cryptography."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.proof.envelope import PAYLOAD_TYPE, Envelope, EnvelopeSignature, pae
from kbuildpy.signing.find_key import find_certificate
from kbuildpy.signing.hashes import Hash, find_hash
from kbuildpy.signing.public_key import is_signature_by, key_algorithm
from kbuildpy.signing.public_key_info import public_bytes
from kbuildpy.signing.signer import Signer, subject_name

_HASH_OF_CURVE = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}
"""The digest that goes with each curve, as verifiers of DSSE expect it; with RSA (PKCS#1 v1.5) it is SHA-256."""


def seal(payload: bytes, signer: Signer) -> Envelope:
    """`payload`, an in-toto statement, in an envelope that the key of `signer` signs. Raises as that key does."""
    key = signer.certificate.public_key()
    contents = pae(PAYLOAD_TYPE, payload)
    signature = signer.key.sign(contents, _hash_for(key) or find_hash("sha512"))
    return Envelope(payload, PAYLOAD_TYPE, (EnvelopeSignature(key_id(key), signature),))


def key_id(key: Any) -> str:
    """The `keyid` of a public key (cryptography's object), as in-toto's tools compute it (securesystemslib's SSlibKey):
    SHA-256 of a canonical JSON object with the key in PEM and the scheme. They look for a key by it, and do not try
    others. For ML-DSA, which they do not have, SHA-256 of the key itself (SubjectPublicKeyInfo, DER)."""
    kind = key_algorithm(key)
    if kind not in ("rsa", "ecdsa"):
        return hashlib.sha256(public_bytes(key)).hexdigest()
    scheme = "rsa-pkcs1v15-sha256" if kind == "rsa" else f"ecdsa-sha2-nistp{key.curve.key_size}"
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    # (canonical JSON escapes nothing but quotes and backslashes: the ends of lines stay)
    text = f'{{"keytype":"{kind}","keyval":{{"public":"{pem}"}},"scheme":"{scheme}"}}'
    return hashlib.sha256(text.encode()).hexdigest()


def trusted_certificates(names: Sequence[str]) -> list[Certificate]:
    """The certificates that `names` name: files (PEM or DER), or `pkcs11:` URIs. Raises `KbuildError` for one that
    cannot be read."""
    return [find_certificate(name) for name in names]


def require_signed(envelope: Envelope, certificates: Sequence[Certificate], where: str) -> Certificate:
    """The certificate of those given whose key signed `envelope`, which came from `where`. Raises `KbuildError` if none
    did."""
    for certificate in certificates:
        key = certificate.public_key()
        hash = _hash_for(key)
        message = envelope.signed_bytes if hash is None else hash.of(envelope.signed_bytes)
        if any(is_signature_by(key, item.sig, message, hash) for item in envelope.signatures):
            return certificate
    names = ", ".join(map(subject_name, certificates))
    raise KbuildError(
        f"{where}: not signed by {names}, or changed since",
        hint="the envelope names the key " + ", ".join(item.keyid[:16] for item in envelope.signatures),
    )


def _hash_for(key: Any) -> Hash | None:
    """The digest that a key of this kind signs; None for ML-DSA, which takes the contents."""
    kind = key_algorithm(key)
    if kind == "rsa":
        return find_hash("sha256")
    if kind == "ecdsa":
        return find_hash(_HASH_OF_CURVE.get(key.curve.name, "sha256"))
    return None

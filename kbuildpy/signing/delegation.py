# SPDX-License-Identifier: GPL-2.0-only
"""Certificates that another key signs: a delegate signs modules in place of an enrolled key.

The kernel verifies a module with the certificate that comes with its signature, and that with the enrolled one which it
names (crypto/asymmetric_keys/pkcs7_trust.c: pkcs7_validate_trust_one). It finds that one by the authority key
identifier alone, and looks neither at dates nor at what a certificate may be used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from kbuildpy.signing import asn1
from kbuildpy.signing.hashes import Hash, find_hash
from kbuildpy.signing.ml_dsa import new_ml_dsa_key
from kbuildpy.signing.private_key import PrivateKey
from kbuildpy.signing.signer_certificate import signature_hash


@dataclass(frozen=True)
class Issuer:
    """Who signs a delegate's certificate."""

    key: PrivateKey
    certificate: Certificate

    def sign(self, builder: x509.CertificateBuilder, hash: Hash | None) -> Certificate:
        """The certificate of `builder`, signed with `hash`; None for a key that takes none. Raises what the key
        raises."""
        # (cryptography signs with its own keys only: one of the same kind writes all but the signature)
        stand_in = builder.sign(_key_like(self.key.algorithm), hash.algorithm() if hash else None)  # type: ignore[arg-type]
        signature = self.key.sign(stand_in.tbs_certificate_bytes, hash or find_hash("sha512"))
        return x509.load_der_x509_certificate(_with_signature(stand_in, signature))


def authority_of(issuer: Certificate) -> x509.AuthorityKeyIdentifier:
    """What names `issuer` in a certificate that it signs: the identifier of its key, else its own issuer and number."""
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)
    except x509.ExtensionNotFound:
        names = [x509.DirectoryName(issuer.issuer)]
        return x509.AuthorityKeyIdentifier(None, names, issuer.serial_number)


def blacklist_words(certificate: Certificate) -> list[str]:
    """The words with which a kernel's blacklist refuses `certificate`, wherever it comes from (certs/blacklist.c:
    is_hash_blacklisted): the SHA-256 of what is signed in it and, where another hash signs it, that one's digest, which
    some kernels look for (crypto/asymmetric_keys/x509_public_key.c: x509_get_sig_params)."""
    names = dict.fromkeys(("sha256", *(used.name for used in [signature_hash(certificate)] if used)))
    return [f"tbs:{find_hash(name).of(certificate.tbs_certificate_bytes).hex()}" for name in names]


@asn1.sequence
class _Signed:
    """What is signed, how, and the signature (RFC 5280: Certificate)."""

    contents: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


def _with_signature(certificate: Certificate, signature: bytes) -> bytes:
    """`certificate` with another signature, DER."""
    found = asn1.decode_der(_Signed, certificate.public_bytes(Encoding.DER))
    bits = asn1.BitString(data=signature, padding_bits=0)
    return bytes(asn1.encode_der(_Signed(contents=found.contents, algorithm=found.algorithm, signature=bits)))


def _key_like(algorithm: str) -> Any:
    """A new private key of the kind `algorithm` (`PrivateKey.algorithm`)."""
    if algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return new_ml_dsa_key(algorithm)

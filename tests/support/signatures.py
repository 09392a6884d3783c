# SPDX-License-Identifier: GPL-2.0-only
"""Signed modules, intact and damaged, with keys and certificates that are made once in a process."""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.signing import asn1, cms
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    Attribute,
    ContentInfo,
    SignedData,
    SignerInfo,
)
from kbuildpy.signing.trailer import append_signature, split_signature
from tests.support.keys import ml_dsa_key

MODULE = b"\x7fELF" + bytes(range(256)) * 8
"""What is signed: a signature says nothing of whether it is a module."""


@cache
def key(kind: str) -> Any:
    """The private key called `kind`: on a curve for `ec`, ML-DSA for `ml-dsa`, else RSA of 2048 bits."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ml-dsa":
        return ml_dsa_key("ml-dsa-44")
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(kind: str, *, name: str = "A signer", issuer: str = "", expired: bool = False) -> x509.Certificate:
    """The certificate `name` for the key `kind`, signed by the key and name `issuer`, else by itself."""
    start = datetime.datetime(2001, 1, 1)
    days = 1 if expired else 40000
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key(kind).public_key())
        .serial_number(0xF00D0000 + len(name))
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key(kind).public_key()), critical=False)
    )
    above = key(issuer or kind)
    if issuer:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(above, None if "ml-dsa" in (issuer or kind) else hashes.SHA256())


def trusted(*certificates: x509.Certificate) -> Keyring:
    """The keyring of a kernel that trusts these certificates."""
    return Keyring(certificates=tuple(ours(item) for item in certificates))


def ours(found: x509.Certificate) -> Certificate:
    """The certificate as kbuildpy parses it."""
    return parse_certificate(found.public_bytes(Encoding.DER), "a test")


def signed(kind: str = "rsa", hash: str = "sha256", **named: Any) -> bytes:
    """`MODULE` with a signature by the key `kind`; `named` are options of `cms.sign()`."""
    signer = FileKey(key_algorithm(key(kind)), key(kind))
    return append_signature(MODULE, cms.sign(MODULE, signer, certificate(kind), find_hash(hash), **named))


def with_attributes(kind: str, *, digest: bytes = b"") -> bytes:
    """A signature as OpenSSL makes it without CMS_NOATTR."""
    hash = find_hash("sha512")

    def attribute(name: Any, value: Any) -> Attribute:
        return Attribute(type=name, values=asn1.SetOf([asn1.decode_der(asn1.TLV, asn1.encode_der(value))]))

    attributes = asn1.SetOf([attribute(CONTENT_TYPE, DATA), attribute(MESSAGE_DIGEST, digest or hash.of(MODULE))])
    signer = FileKey(key_algorithm(key(kind)), key(kind))
    signature = signer.sign(bytes(asn1.encode_der(attributes)), hash)
    plain = cms.parse(cms.message(signature, cms.signature_algorithm(signer.algorithm, hash), certificate(kind), hash))
    return append_signature(MODULE, changed(plain, signed_attributes=attributes))


def changed(message: SignedData, *, version: int = 1, **fields: Any) -> bytes:
    """The message with other `fields` of its signer, and another version of both."""
    (info,) = cms.signers(message)
    same = {name: getattr(info, name) for name in SignerInfo.__annotations__}
    info = SignerInfo(**{**same, "version": version, **fields})
    same = {name: getattr(message, name) for name in SignedData.__annotations__}
    message = SignedData(**{**same, "version": version, "signer_infos": asn1.SetOf([info])})
    return bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=message)))


def misnamed(version: int) -> bytes:
    """A signature whose signer is not named as signers are in messages of its `version`."""
    taken = split_signature(signed(use_key_id=version == 1))
    assert taken is not None
    return append_signature(MODULE, changed(cms.parse(taken.signature), version=version))


@cache
def damageable() -> dict[str, bytes]:
    """A signed module of each shape that a signature has, to be damaged."""
    return {
        "rsa": signed(),
        "ec": signed("ec"),
        "ml-dsa": signed("ml-dsa"),
        "key identifier": signed(use_key_id=True),
        "attributes": with_attributes("rsa"),
        "certificates": with_certificates(certificate("rsa"), certificate("rsa", name="leaf", issuer="ec")),
    }


def with_certificates(*certificates: x509.Certificate) -> bytes:
    """A signature that comes with certificates."""
    taken = split_signature(signed())
    assert taken is not None
    encoded = [asn1.decode_der(asn1.TLV, item.public_bytes(Encoding.DER)) for item in certificates]
    message = cms.parse(taken.signature)
    same = {name: getattr(message, name) for name in SignedData.__annotations__}
    message = SignedData(**{**same, "certificates": asn1.SetOf(encoded)})
    return append_signature(MODULE, bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=message))))


@cache
def rsa_signer() -> Signer:
    """Signs with the key `rsa` and SHA-256."""
    return Signer(FileKey("rsa", key("rsa")), certificate("rsa"), find_hash("sha256"))

# SPDX-License-Identifier: GPL-2.0-only
"""Parses a module's signature as the kernel does (crypto/asymmetric_keys/pkcs7_parser.c).

Every way to refuse it before a key is looked for is here, with the kernel's error. One difference: the kernel reads
BER and leaves out what it does not use, and this reads DER, which is what every program that signs modules writes. So
a signature whose encoding was damaged can be refused here with another error, or be refused here alone; never is one
taken that the kernel refuses (tests/vm/test_signatures.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from cryptography.x509 import ObjectIdentifier

from kbuildpy.errors import KbuildError
from kbuildpy.signing import asn1, cms
from kbuildpy.signing.certificates import Certificate, KeySignature, parse_certificate
from kbuildpy.signing.der import common_name, integer, is_name
from kbuildpy.signing.hashes import BY_OID, Hash
from kbuildpy.signing.public_key import ML_DSA_OIDS
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    RSA_ENCRYPTION,
    Attribute,
    IssuerAndSerialNumber,
    SignerInfo,
)


@dataclass(frozen=True)
class MessageSigner:
    """One signature of a message (RFC 5652: SignerInfo), as the kernel takes it in."""

    identifier: bytes
    """What the signer's certificate is found by: serial number and issuer, or the identifier of its key."""
    issuer: str
    """The issuer's name, "" where the key is named."""
    serial: int | None
    """The serial number, None where the key is named."""
    hash: Hash
    digest: bytes
    """That of the module's contents."""
    signed: KeySignature
    has_attributes: bool
    """Attributes are signed, and the contents only by their digest in these."""
    digest_matches: bool
    """The digest in the signed attributes is that of the contents."""
    oids: tuple[str, ...]
    """The algorithms that a kernel must know."""


@dataclass(frozen=True)
class Message:
    """A signature that was parsed; `embedded` are the certificates that came with it."""

    signers: tuple[MessageSigner, ...]
    embedded: tuple[Certificate, ...] = field(repr=False)

    @cached_property
    def by_identifier(self) -> dict[bytes, Certificate]:
        """The embedded certificates by serial number and issuer, of several that share them the first."""
        return {item.identifier: item for item in reversed(self.embedded)}

    @cached_property
    def by_subject_key(self) -> dict[bytes, Certificate]:
        """The same by the identifier of the key."""
        return {item.subject_key: item for item in reversed(self.embedded) if item.subject_key is not None}

    @property
    def has_attributes(self) -> bool:
        """Whether more is signed than the module."""
        return any(signer.has_attributes for signer in self.signers)


def parse_message(contents: bytes, signature: bytes) -> Message:
    """The `signature` of a module's `contents`. Raises `Refused` as the kernel does."""
    data = cms.parse(signature)
    if data.version not in (1, 3):
        raise Refused("the signature is signed data of another version than 1 or 3", errno="EINVAL")
    if data.content.content_type != DATA:
        # (Authenticode's content type gets past the parser, to EKEYREJECTED; it comes with content, which does not)
        raise Refused("the signature is not over plain data", errno="EINVAL")
    if data.content.content is not None:
        raise Refused("the signature holds contents of its own instead of the module's")
    embedded = tuple(_embedded(item) for item in data.certificates.as_list()) if data.certificates else ()
    # (a message may have thousands of signers, and a module be large)
    digest_of = cache(lambda hash: hash.of(contents))
    signers = tuple(_signer(item, data.version, contents, digest_of) for item in cms.signers(data))
    if len({signer.has_attributes for signer in signers}) != 1:
        problem = "only some of its signers have attributes" if signers else "it has no signer"
        raise Refused(f"the signature is inconsistent: {problem}", errno="EINVAL")
    return Message(signers, embedded)


def _signer(info: SignerInfo, version: int, contents: bytes, digest_of: Callable[[Hash], bytes]) -> MessageSigner:
    if info.version not in (1, 3):
        raise Refused("the signature has a signer of another version than 1 or 3", errno="EINVAL")
    if (info.version == 1) != (version == 1):
        raise Refused(f"the signature is of version {version}, and its signer of version {info.version}")
    hash = _hash(info.digest_algorithm.algorithm)
    algorithm = _algorithm(info.signature_algorithm.algorithm)
    digest = digest_of(hash)
    identifier, issuer, serial = _names(info)
    signed, matches = contents, True
    if info.signed_attributes is not None:
        matches = _attributes_match(info.signed_attributes.as_list(), digest)
        signed = bytes(asn1.encode_der(info.signed_attributes))
    direct = algorithm.startswith("ml-dsa")
    if not direct:
        signed = digest if info.signed_attributes is None else hash.of(signed)
    oids = [info.signature_algorithm.algorithm.dotted_string]
    # A key that takes the contents needs no digest, unless the attributes have one in them.
    if not direct or info.signed_attributes is not None:
        oids.append(hash.oid)
    return MessageSigner(
        identifier=identifier,
        issuer=issuer,
        serial=serial,
        hash=hash,
        digest=digest,
        signed=KeySignature(algorithm, None if direct else hash, signed, info.signature),
        has_attributes=info.signed_attributes is not None,
        digest_matches=matches,
        oids=tuple(oids),
    )


def _names(info: SignerInfo) -> tuple[bytes, str, int | None]:
    """What the signer's certificate is found by, its issuer's name, its serial number."""
    by_issuer = isinstance(info.sid, IssuerAndSerialNumber)
    if by_issuer != (info.version == 1):
        # The kernel decides by the version, and then has no identifier to search for.
        raise Refused(f"the signer is not named as version {info.version} names signers", errno="EINVAL")
    if not isinstance(info.sid, IssuerAndSerialNumber):
        return info.sid, "", None
    issuer = bytes(info.sid.issuer.data)
    if info.sid.issuer.tag_bytes != b"\x30" or not is_name(issuer):
        raise Refused("the signature names an issuer that is no distinguished name")
    return integer(info.sid.serial_number) + issuer, common_name(issuer), info.sid.serial_number


def _attributes_match(attributes: Sequence[Attribute], digest: bytes) -> bool:
    """Whether the message digest among signed attributes is `digest`."""
    values: dict[ObjectIdentifier, Any] = {}
    for attribute in attributes:
        for value in attribute.values.as_list():
            if attribute.type in values and attribute.type in (CONTENT_TYPE, MESSAGE_DIGEST):
                raise Refused("the signature has the same signed attribute twice", errno="EKEYREJECTED")
            values[attribute.type] = value
    if CONTENT_TYPE not in values or MESSAGE_DIGEST not in values:
        raise Refused("the signature lacks a signed attribute: content type or message digest")
    try:
        content_type = values[CONTENT_TYPE].parse(ObjectIdentifier)
        signed_digest = values[MESSAGE_DIGEST].parse(bytes)
    except ValueError:
        raise Refused("a signed attribute of the signature is of the wrong type") from None
    if content_type != DATA:
        raise Refused("the signed attributes tell another content type than the signature")
    if len(signed_digest) != len(digest):
        raise Refused("the digest in the signed attributes has the wrong length")
    return bool(signed_digest == digest)


def _embedded(value: Any) -> Certificate:
    try:
        return parse_certificate(bytes(asn1.encode_der(value)), "the signature itself")
    except KbuildError as error:
        raise Refused(f"the signature comes with a certificate that cannot be used: {error.message}") from error


def _hash(oid: ObjectIdentifier) -> Hash:
    found = BY_OID.get(oid.dotted_string)
    # sign-file would take it, and no kernel does (pkcs7_sig_note_digest_algo).
    if found is None or found.name == "sha3-224":
        name = found.name if found else oid.dotted_string
        raise Refused(f"the signature uses a digest that no kernel knows: {name}", errno="ENOPKG")
    return found


def _algorithm(oid: ObjectIdentifier) -> str:
    found = _ALGORITHMS.get(oid)
    if found is None:
        raise Refused(f"the signature is of a kind that no kernel knows: {oid.dotted_string}", errno="ENOPKG")
    return found


_ALGORITHMS = {
    RSA_ENCRYPTION: "rsa",
    **{ObjectIdentifier(hash.ecdsa_oid): "ecdsa" for hash in BY_OID.values() if hash.name != "sha3-224"},
    **{ObjectIdentifier(oid): name for name, oid in ML_DSA_OIDS.items()},
}

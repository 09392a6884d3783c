# SPDX-License-Identifier: GPL-2.0-only
"""The ASN.1 of a signature (RFC 5652), as far as the kernel's own parser takes it
(crypto/asymmetric_keys/pkcs7.asn1)."""

from __future__ import annotations

from typing import Annotated

from cryptography.x509 import ObjectIdentifier

from kbuildpy.signing import asn1


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm; all that we know take no parameters, or NULL."""

    algorithm: ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class DigestInfo:
    """What an RSA signature signs (RFC 8017)."""

    digest_algorithm: AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class IssuerAndSerialNumber:
    """A certificate by who issued it, and its number."""

    issuer: asn1.TLV
    serial_number: int


@asn1.sequence
class Attribute:
    """Something else that is signed, or said of the signature."""

    type: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class SignerInfo:
    """One signature; `sid` is the signer's certificate or, as bytes, its subject key identifier."""

    version: int
    sid: IssuerAndSerialNumber | Annotated[bytes, asn1.Implicit(0)]
    digest_algorithm: AlgorithmIdentifier
    signed_attributes: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes
    unsigned_attributes: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class EncapsulatedContentInfo:
    """What was signed: only its type, as it lies before the signature."""

    content_type: ObjectIdentifier
    content: Annotated[bytes | None, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    """Signatures over one content."""

    version: int
    digest_algorithms: asn1.SetOf[AlgorithmIdentifier]
    content: EncapsulatedContentInfo
    certificates: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    crls: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signer_infos: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    """A CMS message that is signed data."""

    content_type: ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


DATA = ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
RSA_ENCRYPTION = ObjectIdentifier("1.2.840.113549.1.1.1")
CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")

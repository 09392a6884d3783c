# SPDX-License-Identifier: GPL-2.0-only
"""The CMS message that sign-file writes (scripts/sign-file.c: main), byte for byte.

No attributes, no content: the module lies before it. No certificates, unless those of a delegate are asked for. The
kernel refuses attributes in a module's signature (crypto/asymmetric_keys/pkcs7_verify.c: pkcs7_verify).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ObjectIdentifier

from kbuildpy.errors import KbuildError
from kbuildpy.signing import asn1
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import PrivateKey
from kbuildpy.signing.public_key import ML_DSA_OIDS
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.structures import (
    DATA,
    RSA_ENCRYPTION,
    SIGNED_DATA,
    AlgorithmIdentifier,
    ContentInfo,
    EncapsulatedContentInfo,
    IssuerAndSerialNumber,
    SignedData,
    SignerInfo,
)


def sign(
    contents: bytes,
    key: PrivateKey,
    certificate: Certificate,
    hash: Hash,
    *,
    use_key_id: bool = False,
    embedded: Sequence[Certificate] = (),
) -> bytes:
    """The CMS message (DER) that signs `contents`; the signer is named by issuer and serial number, with
    `use_key_id` by the certificate's subject key identifier. The certificates `embedded` come along.

    Raises `KbuildError` for a certificate without such an identifier, and whatever `key` raises.
    """
    signature = key.sign(contents, hash)
    before, behind = _frame(key.algorithm, len(signature), certificate, hash, use_key_id, tuple(embedded))
    return b"".join((before, signature, behind))


@lru_cache(maxsize=16)
def _frame(
    kind: str, length: int, certificate: Certificate, hash: Hash, use_key_id: bool, embedded: tuple[Certificate, ...]
) -> tuple[bytes, bytes]:
    """What stands before and behind a signature of `length` bytes in a message: for thousands of modules it is the
    same."""
    stand_in = os.urandom(length)
    algorithm = signature_algorithm(kind, hash)
    whole = message(stand_in, algorithm, certificate, hash, use_key_id=use_key_id, embedded=embedded)
    # (it is the last thing in a message)
    before, _, behind = whole.rpartition(stand_in)
    return before, behind


def message(
    signature: bytes,
    algorithm: AlgorithmIdentifier,
    certificate: Certificate,
    hash: Hash,
    *,
    use_key_id: bool = False,
    embedded: Sequence[Certificate] = (),
) -> bytes:
    """The CMS message around a `signature`."""
    digest = AlgorithmIdentifier(algorithm=x509.ObjectIdentifier(hash.oid), parameters=None)
    # RFC 5652, section 5.1 and 5.3: a signer that is named by its key makes the versions 3.
    version = 3 if use_key_id else 1
    signer = SignerInfo(
        version=version,
        sid=key_identifier(certificate) if use_key_id else issuer_and_serial(certificate),
        digest_algorithm=digest,
        signed_attributes=None,
        signature_algorithm=algorithm,
        signature=signature,
        unsigned_attributes=None,
    )
    data = SignedData(
        version=version,
        digest_algorithms=asn1.SetOf([digest]),
        content=EncapsulatedContentInfo(content_type=DATA, content=None),
        certificates=_certificates(embedded) if embedded else None,
        crls=None,
        signer_infos=asn1.SetOf([signer]),
    )
    return bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=data)))


def _certificates(certificates: Sequence[Certificate]) -> asn1.SetOf[asn1.TLV]:
    return asn1.SetOf([asn1.decode_der(asn1.TLV, item.public_bytes(Encoding.DER)) for item in certificates])


def embedded_certificates(data: SignedData) -> frozenset[bytes]:
    """The certificates that came with a message, DER."""
    return (
        frozenset(bytes(asn1.encode_der(item)) for item in data.certificates.as_list())
        if data.certificates
        else frozenset()
    )


def parse(signature: bytes) -> SignedData:
    """The signed data of a CMS message. Raises `Refused` for anything else.

    As the kernel's decoder does (lib/asn1_decoder.c), it ignores bytes behind the message.
    """
    message = _message(signature)
    if _begins_with_another_type(message):
        raise Refused("the signature is a CMS message of another type than signed data", errno="EINVAL")
    try:
        found = asn1.decode_der(ContentInfo, message)
    except ValueError as error:
        raise Refused(f"the signature is not a CMS message: {error}") from error
    if found.content_type != SIGNED_DATA:
        raise Refused(
            f"the signature is a CMS message of type {found.content_type.dotted_string}, no signed data",
            errno="EINVAL",
        )
    return found.content


def _message(signature: bytes) -> bytes:
    """`signature` without the bytes behind its outermost value; unchanged if that has no definite length."""
    if len(signature) < 2 or signature[1] == 0x80:
        return signature
    wide = signature[1] & 0x7F if signature[1] > 0x80 else 0
    length = int.from_bytes(signature[2 : 2 + wide], "big") if wide else signature[1]
    return signature[: 2 + wide + length]


def _begins_with_another_type(message: bytes) -> bool:
    """Whether an object identifier begins a sound sequence, and is not that of signed data: the kernel looks no further
    then (crypto/asymmetric_keys/pkcs7_parser.c: pkcs7_check_content_type)."""
    wide = message[1] & 0x7F if len(message) > 1 and message[1] > 0x80 else 0
    length = int.from_bytes(message[2 : 2 + wide], "big") if wide else 0
    start = 2 + wide
    if message[:1] != b"\x30" or not wide or start + length != len(message) or message[start : start + 1] != b"\x06":
        return False
    if start + 2 > len(message):
        return False
    stop = start + 2 + message[start + 1]
    signed_data = bytes(asn1.encode_der(SIGNED_DATA))
    return stop <= len(message) and message[start + 1] < 0x80 and message[start:stop] != signed_data


def signature_algorithm(key: str, hash: Hash) -> AlgorithmIdentifier:
    """How a signature by an `rsa`, `ecdsa` or `ml-dsa-*` key over a digest is called."""
    if key == "rsa":
        return AlgorithmIdentifier(algorithm=RSA_ENCRYPTION, parameters=asn1.Null())
    return AlgorithmIdentifier(algorithm=_identifier(ML_DSA_OIDS.get(key, hash.ecdsa_oid)), parameters=None)


def issuer_and_serial(certificate: Certificate) -> IssuerAndSerialNumber:
    """What names a certificate in a signature."""
    issuer = asn1.decode_der(asn1.TLV, certificate.issuer.public_bytes())
    return IssuerAndSerialNumber(issuer=issuer, serial_number=certificate.serial_number)


def key_identifier(certificate: Certificate) -> bytes:
    """A certificate's subject key identifier."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        raise KbuildError(
            "the certificate has no subject key identifier to name the signer by",
            hint="name the signer by issuer and serial number, or make a certificate with subjectKeyIdentifier=hash",
        ) from None
    return extension.value.digest


def signers(data: SignedData) -> Sequence[SignerInfo]:
    """The signatures in a message."""
    return data.signer_infos.as_list()


def _identifier(dotted: str) -> ObjectIdentifier:
    return x509.ObjectIdentifier(dotted)

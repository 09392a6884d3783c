# SPDX-License-Identifier: GPL-2.0-only
"""The certificate to sign with, as cryptography's object. (The one that a kernel has is in `certificates`.)"""

from __future__ import annotations

import warnings
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import Certificate, ObjectIdentifier

from kbuildpy.errors import KbuildError
from kbuildpy.signing import asn1
from kbuildpy.signing.der import element, elements
from kbuildpy.signing.hashes import BY_SIGNATURE_OID, HASHES, Hash
from kbuildpy.signing.read_file import read_small_file


def load_certificate(path: Path, contents: bytes | None = None) -> Certificate:
    """The X.509 certificate in the file `path`, the first one if it has several; PEM or DER. Raises `UsageError` for a
    file that is not there, `KbuildError` for one that is no certificate."""
    if contents is None:
        contents = read_small_file(path, absent="kbuildpy keygen writes a certificate beside each key: KEY.crt")
    return checked_certificate(contents, str(path))


def checked_certificate(contents: bytes, name: str) -> Certificate:
    """The X.509 certificate in `contents`, PEM or DER, every part of which that is asked for later can be read. Raises
    `KbuildError`, which calls it `name`."""
    try:
        ignore_serial_numbers()
        if b"-----BEGIN CERTIFICATE-----" in contents:
            found = x509.load_pem_x509_certificate(contents[contents.index(b"-----BEGIN CERTIFICATE-----") :])
        else:
            found = x509.load_der_x509_certificate(contents)
        # (cryptography reads these parts when it is asked for them)
        _ = found.issuer, found.subject, found.serial_number, found.extensions, validity(found)
        found.public_key()
        return found
    except UnsupportedAlgorithm as error:
        raise KbuildError(
            f"{name}: the certificate has a key of a kind that modules cannot be signed with ({error})",
            hint="name a certificate with a key of RSA, ECDSA or ML-DSA",
        ) from None
    except unreadable_certificate():
        hint = "name a certificate in PEM or DER"
        if b" PRIVATE KEY-----" in contents:
            hint = "it is a private key, which --key names; --cert names a certificate (--delegate-of: --delegate-cert)"
        raise KbuildError(f"{name}: not an X.509 certificate", hint=hint) from None


def further_certificates(contents: bytes, name: str) -> tuple[Certificate, ...]:
    """The certificates in `contents` (PEM) behind the first one; none in DER. Raises `KbuildError` as
    `checked_certificate`."""
    begin = b"-----BEGIN CERTIFICATE-----"
    parts = contents.split(begin)[2:]
    return tuple(checked_certificate(begin + part, name) for part in parts)


def validity(certificate: Certificate) -> tuple[datetime, datetime]:
    """From when to when a certificate is valid. Raises `ValueError` for dates that cannot be read."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    # (before 42: the same moments, without a time zone)
    begin, end = certificate.not_valid_before, certificate.not_valid_after
    return begin.replace(tzinfo=timezone.utc), end.replace(tzinfo=timezone.utc)


def public_key_oid(certificate: Certificate) -> ObjectIdentifier:
    """What names the kind of a certificate's key."""
    if hasattr(certificate, "public_key_algorithm_oid"):
        return certificate.public_key_algorithm_oid
    # (before 43: the first field of the algorithm, which is the key's first field; RFC 5280: TBSCertificate)
    der = certificate.tbs_certificate_bytes
    whole = element(der, 0)
    fields = elements(der, whole.start, whole.end)
    key = fields[6 if fields[0].tag == 0xA0 else 5]
    algorithm = element(der, key.start)
    name = element(der, algorithm.start)
    return asn1.decode_der(ObjectIdentifier, der[algorithm.start : name.end])


def signature_hash(certificate: Certificate) -> Hash | None:
    """The digest with which a certificate itself is signed; None for one without, or that no kernel knows."""
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        # (before 42: one of SHA-3)
        return BY_SIGNATURE_OID.get(certificate.signature_algorithm_oid.dotted_string)
    return HASHES.get(digest.name) if digest is not None else None


def ignore_serial_numbers() -> None:
    """Have cryptography not warn of serial numbers that a standard forbids, and firmware's certificates have, with a
    line of its own code. For the process: `warnings.catch_warnings` is not safe in threads."""
    warnings.filterwarnings("ignore", message=".*serial number")


def unreadable_certificate() -> tuple[type[Exception], ...]:
    """What cryptography raises for a certificate, or a part of one, that it cannot read."""
    odd = (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
    # (TypeError: of a name with a BIT STRING in it)
    return (ValueError, TypeError, UnsupportedAlgorithm, *odd)

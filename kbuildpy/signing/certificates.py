# SPDX-License-Identifier: GPL-2.0-only
"""A certificate as the kernel keeps it: the key, and the identifiers that it is found by.

(crypto/asymmetric_keys/x509_cert_parser.c, x509_public_key.c: x509_key_preparse.) The times that a certificate is
valid from and to are read there and never compared with the clock, which may not be set when modules are loaded: an
expired certificate verifies modules for ever. Nor does its extended key usage matter to modules.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography import x509

from kbuildpy.errors import KbuildError
from kbuildpy.signing.der import common_name, element, elements, integer
from kbuildpy.signing.hashes import RSA_OVER_SHA3, Hash
from kbuildpy.signing.loadable import Problem, parse_problem, verify_problem
from kbuildpy.signing.public_key import ML_DSA_OIDS, is_signature_by, key_algorithm
from kbuildpy.signing.signer_certificate import (
    ignore_serial_numbers,
    signature_hash,
    unreadable_certificate,
    validity,
)

_ML_DSA_KINDS = {oid: kind for kind, oid in ML_DSA_OIDS.items()}


@dataclass(frozen=True)
class KeySignature:
    """A signature by one key."""

    algorithm: str
    """The kind of key: `rsa`, `ecdsa`, `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`."""
    hash: Hash | None
    """What `message` was made with; None where it is the contents themselves (ML-DSA)."""
    message: bytes
    """What was signed: the digest of the contents, or these."""
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Certificate:
    """A certificate that a kernel may have, or that came with a signature."""

    der: bytes = field(repr=False)
    source: str
    """Where it was found."""
    name: str
    """The subject's common name, else its organization."""
    serial: int
    identifier: bytes
    """Serial number and issuer, as they are encoded."""
    subject_key: bytes | None
    """The identifier of its key, None for a certificate without."""
    authority: tuple[bytes | None, bytes | None]
    """Who signed it: the `identifier` and the `subject_key` of that certificate, as far as it says."""
    issued_by_itself: bool
    """Subject and issuer are the same."""
    algorithm: str
    """The kind of its key, as in `KeySignature`."""
    _parsed: Any = field(repr=False, compare=False)
    _key: Any = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: cryptography's objects are not passed on, but made again there."""
        return parse_certificate, (self.der, self.source)

    @cached_property
    def subject(self) -> bytes:
        """The subject's name as it is encoded."""
        return _names(self._parsed.tbs_certificate_bytes)[2]

    @cached_property
    def issuer_name(self) -> str:
        """The issuer's common name, else its organization."""
        return common_name(_names(self._parsed.tbs_certificate_bytes)[1])

    @cached_property
    def dates(self) -> tuple[str, str]:
        """When it begins and ends to be valid (RFC 3339, UTC); "" for what cannot be read."""
        try:
            begin, end = validity(self._parsed)
        except ValueError:
            return "", ""
        return f"{begin:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%M:%SZ}"

    @cached_property
    def tbs_hash(self) -> str:
        """What a blacklist calls it by from 7.0 on (certs/blacklist.c: is_hash_blacklisted)."""
        return f"tbs:{hashlib.sha256(self._parsed.tbs_certificate_bytes).hexdigest()}"

    @cached_property
    def signed_tbs_hash(self) -> str:
        """What a blacklist calls it by before: the digest with which it is signed (x509_public_key.c:
        x509_get_sig_params); "" for a certificate of which those kernels make none."""
        return f"tbs:{self.signed.message.hex()}" if self.signed is not None and self.signed.hash else ""

    @cached_property
    def signed(self) -> KeySignature | None:
        """The signature that the certificate itself bears; None for one that no kernel knows."""
        contents = self._parsed.tbs_certificate_bytes
        oid = self._parsed.signature_algorithm_oid.dotted_string
        by_rsa = oid.startswith("1.2.840.113549.1.1.") or oid in RSA_OVER_SHA3
        algorithm = _ML_DSA_KINDS.get(oid) or ("rsa" if by_rsa else "ecdsa")
        if algorithm.startswith("ml-dsa"):
            return KeySignature(algorithm, None, contents, self._parsed.signature)
        hash = signature_hash(self._parsed)
        return KeySignature(algorithm, hash, hash.of(contents), self._parsed.signature) if hash else None

    @property
    def names_itself(self) -> bool:
        """Whether it says that it has signed itself (x509_public_key.c: x509_check_for_self_signed)."""
        by_issuer, by_key = self.authority
        named = by_issuer is not None or by_key is not None
        same = self.identifier == by_issuer or (by_key is not None and self.subject_key == by_key)
        return self.issued_by_itself and (same or not named)

    @cached_property
    def signs_itself(self) -> bool:
        """Whether it is signed with its own key (x509_public_key.c: x509_check_for_self_signed)."""
        return self.names_itself and self.signed is not None and self.verifies(self.signed)

    def problem(self, parses: frozenset[str] | None, verifies: frozenset[str] | None) -> Problem | None:
        """Why a kernel cannot load it; None if it can. The curves are those of `Keyring`."""
        return parse_problem(self._parsed, parses) or (self.unverifiable(verifies) if self.names_itself else None)

    def unverifiable(self, verifies: frozenset[str] | None) -> Problem | None:
        """Why a kernel cannot verify anything with its key."""
        return verify_problem(self._parsed, verifies)

    def verifies(self, signed: KeySignature) -> bool:
        """Whether this certificate's key made a signature (crypto/asymmetric_keys/public_key.c:
        public_key_verify_signature)."""
        return signed.algorithm == self.algorithm and is_signature_by(
            self._key, signed.signature, signed.message, signed.hash
        )


def parse_certificate(der: bytes, source: str) -> Certificate:
    """The certificate `der`, found in `source`. Raises `KbuildError` for one that the kernel could not load."""
    try:
        ignore_serial_numbers()
        parsed = x509.load_der_x509_certificate(der)
        key = parsed.public_key()
        serial, issuer, subject = _names(parsed.tbs_certificate_bytes)
        subject_key, authority = _key_identifiers(parsed)
    except unreadable_certificate() as error:
        raise KbuildError(f"{source}: the certificate cannot be used: {error}") from error
    algorithm = key_algorithm(key)
    if not algorithm:
        raise KbuildError(f"{source}: the certificate's key ({type(key).__name__}) cannot verify modules")
    return Certificate(
        der=der,
        source=source,
        name=common_name(subject),
        serial=int.from_bytes(serial, "big", signed=True),
        identifier=serial + issuer,
        subject_key=subject_key,
        authority=authority,
        issued_by_itself=subject == issuer,
        algorithm=algorithm,
        _parsed=parsed,
        _key=key,
    )


def _names(contents: bytes) -> tuple[bytes, bytes, bytes]:
    """Serial number, issuer and subject, as they are encoded, of what is signed in a certificate."""
    whole = element(contents, 0)
    fields = elements(contents, whole.start, whole.end)
    if fields and fields[0].tag == 0xA0:  # the version
        del fields[0]
    if len(fields) < 6:
        raise ValueError("it has too few fields")
    serial, _, issuer, _, subject = (contents[item.start : item.end] for item in fields[:5])
    return serial, issuer, subject


def _key_identifiers(parsed: Any) -> tuple[bytes | None, tuple[bytes | None, bytes | None]]:
    subject_key, by_issuer, by_key = None, None, None
    for extension in parsed.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            subject_key = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            by_key = value.key_identifier
            for name in value.authority_cert_issuer or ():
                if isinstance(name, x509.DirectoryName) and value.authority_cert_serial_number is not None:
                    issuer = name.value.public_bytes()
                    by_issuer = integer(value.authority_cert_serial_number) + issuer[element(issuer, 0).start :]
    return subject_key, (by_issuer, by_key)

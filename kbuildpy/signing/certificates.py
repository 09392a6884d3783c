"""A certificate as the kernel keeps it: the key, and the identifiers that it is found by.

(crypto/asymmetric_keys/x509_cert_parser.c, x509_public_key.c: x509_key_preparse.) The times that a certificate is
valid from and to are read there and never compared with the clock, which may not be set when modules are loaded: an
expired certificate verifies modules for ever. Nor does its extended key usage matter to modules.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import KbuildError
from kbuildpy.signing.der import common_name, element, elements, integer
from kbuildpy.signing.hashes import HASHES, Hash

if TYPE_CHECKING:
    from kbuildpy.signing.loadable import Problem


@dataclass(frozen=True)
class Signed:
    """A signature: by what kind of key, over what (a digest made with `hash`, or with None the contents themselves)."""

    algorithm: str
    hash: Hash | None
    message: bytes
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Certificate:
    """A certificate; `identifier` is its serial number and issuer, `subject_key` the identifier of its key.

    `authority` names in the same two ways who signed it. `source` says where it was found.
    """

    der: bytes = field(repr=False)
    source: str
    name: str
    serial: int
    identifier: bytes
    subject_key: bytes | None
    authority: tuple[bytes | None, bytes | None]
    issued_by_itself: bool
    algorithm: str
    _parsed: Any = field(repr=False, compare=False)
    _key: Any = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: cryptography's objects stay here, and are made anew there."""
        return parse_certificate, (self.der, self.source)

    @cached_property
    def tbs_hash(self) -> str:
        """What a blacklist calls it by (certs/blacklist.c: is_hash_blacklisted)."""
        return f"tbs:{hashlib.sha256(self._parsed.tbs_certificate_bytes).hexdigest()}"

    @cached_property
    def signed(self) -> Signed | None:
        """The signature that the certificate itself bears; None for one that no kernel knows."""
        from cryptography.exceptions import UnsupportedAlgorithm

        contents = self._parsed.tbs_certificate_bytes
        oid = self._parsed.signature_algorithm_oid.dotted_string
        algorithm = _ML_DSA.get(oid) or ("rsa" if oid.startswith("1.2.840.113549.1.1.") else "ecdsa")
        if algorithm.startswith("ml-dsa"):
            return Signed(algorithm, None, contents, self._parsed.signature)
        try:
            digest = self._parsed.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return None
        hash = HASHES.get(digest.name) if digest is not None else None
        return Signed(algorithm, hash, hash.of(contents), self._parsed.signature) if hash else None

    @property
    def names_itself(self) -> bool:
        """Whether it says that it has signed itself (x509_public_key.c: x509_check_for_self_signed)."""
        by_issuer, by_key = self.authority
        named = by_issuer is not None or by_key is not None
        same = self.identifier == by_issuer or (by_key is not None and self.subject_key == by_key)
        return self.issued_by_itself and (same or not named)

    def problem(self, parses: frozenset[str] | None, verifies: frozenset[str] | None) -> Problem | None:
        """Why a kernel cannot load it; None if it can. The curves are those of `Keyring`."""
        from kbuildpy.signing.loadable import parse_problem

        return parse_problem(self._parsed, parses) or (self.unverifiable(verifies) if self.names_itself else None)

    def unverifiable(self, verifies: frozenset[str] | None) -> Problem | None:
        """Why a kernel cannot verify anything with its key."""
        from kbuildpy.signing.loadable import verify_problem

        return verify_problem(self._parsed, verifies)

    def verifies(self, signed: Signed) -> bool:
        """Whether this certificate's key made a signature (crypto/asymmetric_keys/public_key.c:
        public_key_verify_signature)."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

        if signed.algorithm != self.algorithm:
            return False
        try:
            if signed.hash is None:
                self._key.verify(signed.signature, signed.message)
            elif self.algorithm == "rsa":
                digest = utils.Prehashed(signed.hash.algorithm())
                self._key.verify(signed.signature, signed.message, padding.PKCS1v15(), digest)
            else:
                digest = utils.Prehashed(signed.hash.algorithm())
                self._key.verify(signed.signature, signed.message, ec.ECDSA(digest))
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


def parse_certificate(der: bytes, source: str) -> Certificate:
    """The certificate `der`, found in `source`. Raises `KbuildError` for one that the kernel could not load."""
    from cryptography import x509

    from kbuildpy.signing.keys import key_algorithm, unreadable_certificate

    try:
        with warnings.catch_warnings():
            # (of serial numbers that a standard forbids, and firmware certificates have)
            warnings.simplefilter("ignore")
            parsed = x509.load_der_x509_certificate(der)
            key = parsed.public_key()
            serial, issuer, subject = _names(parsed.tbs_certificate_bytes)
            subject_key, authority = _key_identifiers(parsed)
    except unreadable_certificate() as error:
        raise KbuildError(f"{source}: no certificate that can be used: {error}") from error
    algorithm = key_algorithm(key)
    if not algorithm:
        raise KbuildError(f"{source}: the certificate's key ({type(key).__name__}) is of no kind that verifies modules")
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
    from cryptography import x509

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


_ML_DSA = {
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}

# SPDX-License-Identifier: GPL-2.0-only
"""Signing one module, as scripts/sign-file.c does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, Name
from cryptography.x509.oid import NameOID

from kbuildpy.compression import compression_of
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.instrumented import refuse_instrumented
from kbuildpy.signing.cms import embedded_certificates, issuer_and_serial, key_identifier, parse, sign, signers
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.private_key import PrivateKey
from kbuildpy.signing.signer_certificate import validity
from kbuildpy.signing.trailer import append_signature, split_signature, without_signatures


@dataclass(frozen=True)
class Signer:
    """The key, the certificate and the digest that sign."""

    key: PrivateKey
    certificate: Certificate
    hash: Hash
    use_key_id: bool = False
    """The certificate is named by its subject key identifier in place of issuer and serial number."""
    embedded: tuple[Certificate, ...] = ()
    """Certificates that come with each signature: a delegate's, and those between it and an enrolled one."""

    @property
    def name(self) -> str:
        """The subject of the certificate, as it is shown: its common name where it has one."""
        return subject_name(self.certificate)

    @property
    def serial(self) -> str:
        """The serial number of the certificate in hexadecimal."""
        return f"{self.certificate.serial_number:x}"

    @property
    def key_id(self) -> str:
        """The subject key identifier in hexadecimal, "" for a certificate without one."""
        try:
            return key_identifier(self.certificate).hex()
        except KbuildError:
            return ""

    def warn_of_issuer(self, remedy: str) -> str:
        """The warning about signatures without the certificate, if another one has issued that; "" for others. A kernel
        that has the issuer's certificate alone finds no chain then (crypto/asymmetric_keys/pkcs7_trust.c:
        pkcs7_validate_trust_one). `remedy` says how it comes along."""
        certificate = self.certificate
        if self.embedded or certificate.issuer == certificate.subject:
            return ""
        return (
            f"{_name_of(certificate.issuer)} has issued this certificate, and it does not come with the signatures: a "
            f"kernel that has the issuer's certificate alone refuses them; {remedy}"
        )

    def detached(self, contents: bytes) -> bytes:
        """The signature alone: a CMS message over `contents`."""
        return sign(contents, self.key, self.certificate, self.hash, use_key_id=self.use_key_id, embedded=self.embedded)


def sign_module(module: bytes, signer: Signer, *, replace: bool = False) -> bytes | None:
    """`module` with the signature of `signer`; None if it has this signature already. With `replace` any other
    signature is replaced. Raises `KbuildError` for a module that is signed otherwise without `replace`: sign-file would
    put one signature behind the other, and the kernel would look at the last only; and for one that is compressed,
    which a signature behind it would only damage, or instrumented.
    """
    if name := compression_of(module):
        raise KbuildError(f"it is compressed ({name})", hint="decompress the module first, and sign that")
    refuse_instrumented(module, doing="signed")
    contents = contents_to_sign(module, signer, replace=replace)
    return None if contents is None else append_signature(contents, signer.detached(contents))


def contents_to_sign(module: bytes, signer: Signer, *, replace: bool) -> bytes | None:
    """What `sign_module` signs of `module`: all that stands before another signature. Raises as that does."""
    signed = split_signature(module)
    if signed is None:
        return module
    if is_by(signed.signature, signer) and is_intact(signed.contents, signed.signature, signer.certificate):
        return None
    if not replace:
        raise KbuildError("it is signed already", hint="use --replace to sign it again")
    return without_signatures(signed.contents)


def is_by(signature: bytes, signer: Signer) -> bool:
    """Whether a CMS message says that it is `signer`'s, with this digest, this way of naming the signer, and these
    certificates."""
    try:
        data = parse(signature)
        [info] = signers(data)
    except (KbuildError, ValueError):
        return False
    if info.digest_algorithm.algorithm.dotted_string != signer.hash.oid or info.signed_attributes is not None:
        return False
    if embedded_certificates(data) != {item.public_bytes(Encoding.DER) for item in signer.embedded}:
        return False
    if isinstance(info.sid, bytes):
        return signer.use_key_id and info.sid.hex() == signer.key_id
    wanted = issuer_and_serial(signer.certificate)
    return (
        not signer.use_key_id
        and info.sid.serial_number == wanted.serial_number
        and bytes(info.sid.issuer.data) == bytes(wanted.issuer.data)
    )


def warn_of_dates(certificate: Certificate, now: datetime | None = None) -> str:
    """The warning about a certificate that is not valid now; "" for a valid one. (Neither sign-file nor the kernel
    checks the dates.)"""
    moment = now or datetime.now(timezone.utc)
    begin, end = validity(certificate)
    if end < moment:
        return f"the certificate expired on {end:%Y-%m-%d}; the kernel does not mind"
    if begin > moment:
        return f"the certificate is not valid before {begin:%Y-%m-%d}; the kernel does not mind"
    return ""


def subject_name(certificate: Certificate) -> str:
    """How a certificate's subject is shown."""
    return _name_of(certificate.subject)


def _name_of(name: Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()

# SPDX-License-Identifier: GPL-2.0-only
"""New signing keys, with the certificate that certs/default_x509.genkey of the kernel tree describes.

The oracle is `openssl req -new -x509 -utf8 -config x509.genkey`, as certs/Makefile (cmd_gen_key) runs it: the same
extensions, in the same order, critical where its are. A delegate's certificate is signed by another key (`delegation`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import Certificate, ExtensionType
from cryptography.x509.oid import ExtendedKeyUsageOID

from kbuildpy.errors import UsageError
from kbuildpy.pin import keep_out_of_core_dumps
from kbuildpy.signing.delegation import Issuer, authority_of
from kbuildpy.signing.hashes import Hash, find_hash
from kbuildpy.signing.ml_dsa import new_ml_dsa_key

ALGORITHMS = ("rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "p-521", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
HASHES = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
"""What a certificate may be signed with: not SHA-1, which verifiers refuse by now, nor digests shorter than SHA-256."""

DAYS = 36500
"""How long the kernel's own certificate is valid (certs/Makefile: cmd_gen_key)."""

MODULE_SIGNING_ONLY = "1.3.6.1.4.1.2312.16.1.2"
"""Red Hat's extended key usage: shim does not take a kernel or boot loader that a key with it has signed."""


@dataclass(frozen=True)
class SigningKey:
    """A private key, as cryptography's object, and its certificate."""

    algorithm: str
    certificate: Certificate
    _key: Any = field(repr=False)

    def pem(self, passphrase: str | None) -> bytes:
        """The private key as PKCS#8 in PEM, encrypted if there is a `passphrase`."""
        return bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(os.fsencode(passphrase))
                if passphrase
                else serialization.NoEncryption(),
            )
        )


def make_signing_key(
    algorithm: str,
    *,
    common_name: str,
    days: int = DAYS,
    hash: str = "",
    mok: bool = False,
    ca: bool = False,
    issuer: Issuer | None = None,
) -> SigningKey:
    """A new key of one of `ALGORITHMS`, and its certificate, valid from now on, which `issuer` signs, else the key
    itself.

    `hash` is what the certificate is signed with (default sha256; ML-DSA has none). With `mok` the certificate says
    that it signs code, and kernel modules only; with `ca` that it signs certificates, and nothing else. Raises
    `UsageError` for arguments that make no certificate, and what the issuer's key raises.
    """
    if algorithm not in ALGORITHMS:
        raise UsageError(f"{algorithm}: not an algorithm for signing modules", hint=_choices(ALGORITHMS))
    chosen = _hash(issuer.key.algorithm if issuer else algorithm, hash)
    begin = datetime.now(timezone.utc).replace(microsecond=0)
    end = _end(begin, days)
    # (before the key is made, which takes a second)
    subject = _name(common_name)
    keep_out_of_core_dumps()
    key = _generators()[algorithm]()
    builder = _certificate(key, subject, issuer.certificate if issuer else None, begin, end, mok=mok, ca=ca)
    if issuer:
        return SigningKey(algorithm, issuer.sign(builder, chosen), key)
    return SigningKey(algorithm, builder.sign(key, chosen.algorithm() if chosen else None), key)  # type: ignore[arg-type]


def _certificate(
    key: Any, subject: Any, issuer: Certificate | None, begin: datetime, end: datetime, *, mok: bool, ca: bool
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=end,
    )
    extensions = _extensions(key.public_key(), mok=mok, ca=ca)
    if issuer:
        extensions.append((authority_of(issuer), False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder


def _extensions(public_key: Any, *, mok: bool, ca: bool) -> list[tuple[ExtensionType, bool]]:
    """The section `myexts` of certs/default_x509.genkey; whether each is critical.

    Of its authorityKeyIdentifier=keyid openssl makes nothing, since 3.0, where a certificate signs itself.
    """
    usages = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
    )
    unused = dict.fromkeys((*usages, "encipher_only", "decipher_only"), False)
    extensions: list[tuple[ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        # (a machine keyring that takes CAs only may want that these sign nothing else: include/crypto/public_key.h)
        (x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **unused), False),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    if mok:
        usage = [ExtendedKeyUsageOID.CODE_SIGNING, x509.ObjectIdentifier(MODULE_SIGNING_ONLY)]
        extensions.append((x509.ExtendedKeyUsage(usage), False))
    return extensions


def _generators() -> dict[str, Callable[[], Any]]:
    def generate_rsa(size: int) -> Callable[[], Any]:
        return lambda: rsa.generate_private_key(public_exponent=65537, key_size=size)

    return {
        **{f"rsa-{size}": generate_rsa(size) for size in (2048, 3072, 4096)},
        "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        **{name: partial(new_ml_dsa_key, name) for name in ALGORITHMS if name.startswith("ml-dsa")},
    }


def _hash(algorithm: str, name: str) -> Hash | None:
    if algorithm.startswith("ml-dsa"):
        if name:
            raise UsageError(f"{algorithm} takes no hash: it signs the contents, not a digest", hint="remove --hash")
        return None
    if name and name not in HASHES:
        raise UsageError(f"{name}: not a hash for signing certificates", hint=_choices(HASHES))
    return find_hash(name or "sha256")


def _name(common_name: str) -> Any:
    # ub-common-name of RFC 5280; openssl refuses more as well
    if not 0 < len(common_name) <= 64 or not common_name.isprintable():
        raise UsageError(
            f"a name for the certificate has 1 to 64 printable characters, not {len(common_name)}",
            hint="--cn 'Example Ltd module signing key'",
        )
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _end(begin: datetime, days: int) -> datetime:
    try:
        end = begin + timedelta(days=days)
    except OverflowError:
        end = None
    if end is None or days < 1:
        raise UsageError(
            f"{days} days: a certificate cannot be valid that long", hint=f"--days {DAYS}, as the kernel's own"
        )
    return end


def _choices(names: tuple[str, ...]) -> str:
    return f"choose one of {', '.join(names)}"

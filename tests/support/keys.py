# SPDX-License-Identifier: GPL-2.0-only
"""Keys and self-signed certificates that tests make for themselves, and what the tree's sign-file does with them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.file_key import load_key
from kbuildpy.signing.find_key import environment_passphrase
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.ml_dsa import new_ml_dsa_key
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.signer_certificate import load_certificate

_SHA256 = hashes.SHA256()


def new_key(kind: str) -> Any:
    """A private key: `rsa2048`, `rsa4096`, `p256`, `p384`, `p521`, `ml-dsa-44`, `-65` or `-87`."""
    if kind.startswith("ml-dsa-"):
        return ml_dsa_key(kind)
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def ml_dsa_key(kind: str) -> Any:
    """A private key of the kind `ml-dsa-44`, `-65` or `-87`; the test is skipped where cryptography makes none."""
    try:
        return new_ml_dsa_key(kind)
    except KbuildError as error:
        pytest.skip(error.message)


def new_certificate(
    key: Any, name: str, *, days: int = 100, hash: hashes.HashAlgorithm | None = _SHA256
) -> x509.Certificate:
    """A certificate of `key` for itself, which ends `days` from now. `hash` is None for a key of ML-DSA."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), _common_name(name)])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=200))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hash)  # type: ignore[arg-type]
    )


def short_certificate(key: Any) -> x509.Certificate:
    """A certificate with nothing in it that could be left out: it has to fit where another one was."""
    name = x509.Name([_common_name("k")])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=100))
        .sign(key, hashes.SHA256())
    )


def authority_certificate(key: Any) -> x509.Certificate:
    """A certificate of `key` for itself, an authority's, as short as such may be."""
    return _issued(key, "an authority", key, "an authority", authority=True)


def issued_certificate(key: Any, name: str, authority: Any) -> x509.Certificate:
    """A certificate of `key`, which signs modules, by the key of the `authority` (see `authority_certificate`)."""
    return _issued(key, name, authority, "an authority", authority=False)


def _issued(key: Any, name: str, issuer: Any, issuer_name: str, *, authority: bool) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    return (
        x509.CertificateBuilder(
            subject_name=x509.Name([_common_name(name)]), issuer_name=x509.Name([_common_name(issuer_name)])
        )
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=100))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                **usage,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer, hashes.SHA256())
    )


def write_pair(place: Path, kind: str, *, days: int = 100, passphrase: str = "") -> Path:
    """A new key and its certificate in one PEM file, as certs/signing_key.pem is."""
    key = new_key(kind)
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        encryption = BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    path = place / f"{kind}.pem"
    path.write_bytes(private + new_certificate(key, f"the {kind} key", days=days).public_bytes(Encoding.PEM))
    return path


def sign_file(tree: KernelTree, hash: str, pair: Path, module: Path, *options: str) -> None:
    """Sign `module` in place with the tree's sign-file."""
    run([tree.objects / "scripts/sign-file", *options, hash, pair, pair, module])


def _common_name(name: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, name)


CONTENTS = b"\x7fELF" + bytes(range(256)) * 20
"""What is signed: sign-file does not look at whether it is a module."""


def signer_of(pair: Path, hash: str, *, use_key_id: bool = False) -> Signer:
    """Signs with the key and the certificate of the file `pair`, as `write_pair()` makes it."""
    return Signer(
        load_key(pair, environment_passphrase()), load_certificate(pair), find_hash(hash), use_key_id=use_key_id
    )

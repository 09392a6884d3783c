"""Keys and self-signed certificates that tests make for themselves, and what the tree's sign-file does with them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

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

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run


def new_key(kind: str) -> Any:
    """A private key: `rsa2048`, `rsa4096`, `p256`, `p384`, `p521`."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def new_certificate(key: Any, name: str, *, days: int = 100) -> x509.Certificate:
    """A certificate of `key` for itself, which ends `days` from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), _common_name(name)])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=200))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
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

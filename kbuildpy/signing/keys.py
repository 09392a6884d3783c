"""Signing keys and certificates, out of files.

A key's secret stays in the library's object: it has no representation here that could get into a log, and an
error names the file and never quotes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import read_limited
from kbuildpy.pin import keep_out_of_core_dumps, signing_pin
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.pkcs11_uri import is_pkcs11_uri, parse_pkcs11_uri

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Passphrase = Callable[[str], str | None]
"""Asked, with the name of a file, for the passphrase of its key; None when there is none to be had."""


class KeyGoneError(KbuildError):
    """A key that was there signs no more (its token was unplugged): there is no sense in trying the next file."""


class PrivateKey(Protocol):
    """Something that signs."""

    @property
    def algorithm(self) -> str:
        """`rsa`, `ecdsa`, `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`."""
        ...

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """A signature over `contents`; RSA as PKCS#1 v1.5, ECDSA as DER, ML-DSA over the contents themselves."""
        ...

    def public_bytes(self) -> bytes:
        """The public key (SubjectPublicKeyInfo, DER)."""
        ...


@dataclass(frozen=True)
class FileKey:
    """A private key that was read from a file."""

    algorithm: str
    _key: Any = field(repr=False)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

        if self.algorithm == "rsa":
            # The digest is taken first: hashlib lets other threads run while it reads a large module.
            digest = utils.Prehashed(hash.algorithm())
            return bytes(self._key.sign(hash.of(contents), padding.PKCS1v15(), digest))
        if self.algorithm == "ecdsa":
            return bytes(self._key.sign(hash.of(contents), ec.ECDSA(utils.Prehashed(hash.algorithm()))))
        return bytes(self._key.sign(contents))

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return public_bytes(self._key.public_key())


def find_key(name: str, passphrase: Passphrase) -> PrivateKey:
    """The private key that `name` names: a file, or by a `pkcs11:` URI one on a token. Raises as `load_key` and
    `kbuildpy.signing.pkcs11.load_token_key`."""
    if is_pkcs11_uri(name):
        from kbuildpy.signing.pkcs11 import load_token_key

        return load_token_key(name, passphrase)
    return load_key(Path(name), passphrase)


def find_pair(key: str, certificate: str, passphrase: Passphrase) -> tuple[PrivateKey, Certificate]:
    """The private key and the certificate that these names name; without `certificate` ("") the one that is in the
    key's file, or on its token. Raises `KbuildError` when they do not belong together, and as `find_key`."""
    if is_pkcs11_uri(key) and not certificate:
        from kbuildpy.signing.pkcs11 import load_token_pair

        return load_token_pair(key, passphrase)
    # A pipe, as a shell's <(...) is one, can be read once.
    both = _read(Path(key)) if not is_pkcs11_uri(key) and certificate in ("", key) else None
    # (the certificate first, so that nobody types a passphrase for nothing)
    loaded = find_certificate(certificate) if both is None else load_certificate(Path(key), both)
    found = find_key(key, passphrase) if both is None else load_key(Path(key), passphrase, both)
    require_match(found, loaded, ", ".join(shown_name(name) for name in (key, certificate) if name))
    return found, loaded


def shown_name(name: str) -> str:
    """What to call a key or certificate in a message: a file by its path, a URI by what it says of the token."""
    return str(parse_pkcs11_uri(name)) if is_pkcs11_uri(name) else name


def find_certificate(name: str) -> Certificate:
    """The certificate that `name` names: a file, or by a `pkcs11:` URI one on a token."""
    if is_pkcs11_uri(name):
        from kbuildpy.signing.pkcs11 import load_token_certificate

        return load_token_certificate(name)
    return load_certificate(Path(name))


def load_key(path: Path, passphrase: Passphrase, contents: bytes | None = None) -> FileKey:
    """The private key in the file `path`, whose `contents` may have been read before: PEM (whatever else is in it) or
    DER.

    Raises `KbuildError` when the file cannot be read, holds no key, one that modules cannot be signed with, or one
    that `passphrase` does not open: it is asked once.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    keep_out_of_core_dumps()
    contents = _read(path) if contents is None else contents
    load: Callable[..., Any] = (
        serialization.load_pem_private_key if b"-----BEGIN " in contents else serialization.load_der_private_key
    )
    block = _private_block(contents)
    try:
        return FileKey(*_usable(load(block, None), str(path)))
    except TypeError:
        return FileKey(*_usable(_open(load, block, path, passphrase), str(path)))
    except (ValueError, UnsupportedAlgorithm):
        raise KbuildError(f"{path}: no private key", hint="name a key in PEM (PKCS#8 or older) or DER") from None


def load_certificate(path: Path, contents: bytes | None = None) -> Certificate:
    """The X.509 certificate in the file `path`, the first one if it has several; PEM or DER. Raises `KbuildError`."""
    return checked_certificate(_read(path) if contents is None else contents, str(path))


def checked_certificate(contents: bytes, name: str) -> Certificate:
    """The X.509 certificate in `contents`, PEM or DER, every part of which that is asked for later can be read. Raises
    `KbuildError`, which calls it `name`."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        if b"-----BEGIN CERTIFICATE-----" in contents:
            found = x509.load_pem_x509_certificate(contents[contents.index(b"-----BEGIN CERTIFICATE-----") :])
        else:
            found = x509.load_der_x509_certificate(contents)
        # (cryptography reads these parts when it is asked for them)
        _ = found.issuer, found.subject, found.serial_number, found.extensions, found.not_valid_after_utc
        found.public_key()
        return found
    except UnsupportedAlgorithm as error:
        raise KbuildError(
            f"{name}: the certificate has a key of a kind that modules cannot be signed with ({error})",
            hint="name a certificate with a key of RSA, ECDSA or ML-DSA",
        ) from None
    except unreadable_certificate():
        raise KbuildError(f"{name}: no X.509 certificate", hint="name a certificate in PEM or DER") from None


def unreadable_certificate() -> tuple[type[Exception], ...]:
    """What cryptography raises for a certificate, or a part of one, that it cannot read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    odd = (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
    return (ValueError, UnsupportedAlgorithm, *odd)


def require_match(key: PrivateKey, certificate: Certificate, names: str) -> None:
    """Refuse a key that is not the certificate's: its signatures would be taken for forged ones."""
    if key.public_bytes() != public_bytes(certificate.public_key()):
        raise KbuildError(
            f"{names}: the private key does not belong to the certificate",
            hint="name the certificate that was made for this key",
        )


def public_bytes(key: Any) -> bytes:
    """A public key as SubjectPublicKeyInfo (DER)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def key_algorithm(key: Any) -> str:
    """What kind of key cryptography's object is, "" for none that signs modules."""
    name = type(key).__name__
    if "RSA" in name:
        return "rsa"
    if "EllipticCurve" in name or name.startswith("EC"):
        return "ecdsa"
    for size in ("44", "65", "87"):
        if f"MLDSA{size}" in name.upper():
            return f"ml-dsa-{size}"
    return ""


def environment_passphrase(prompt: Passphrase | None = None) -> Passphrase:
    """The passphrase as Kbuild takes it, from KBUILD_SIGN_PIN, else from `prompt`."""

    def passphrase(name: str) -> str | None:
        given = signing_pin()
        return given if given is not None or prompt is None else prompt(name)

    return passphrase


def _usable(key: Any, name: str) -> tuple[str, Any]:
    algorithm = key_algorithm(key)
    if not algorithm:
        raise UsageError(
            f"{name}: kernels verify no signatures of this kind of key ({type(key).__name__})",
            hint="sign with an RSA, ECDSA (P-256, P-384, P-521) or ML-DSA key",
        )
    return algorithm, key


def _open(load: Callable[..., Any], contents: bytes, path: Path, passphrase: Passphrase) -> Any:
    given = passphrase(str(path))
    if given is None:
        raise KbuildError(
            f"{path}: the private key has a passphrase", hint="put it into KBUILD_SIGN_PIN, or run this on a terminal"
        )
    try:
        return load(contents, os.fsencode(given))
    except (ValueError, TypeError):
        raise KbuildError(f"{path}: the passphrase does not open the private key") from None


def _private_block(contents: bytes) -> bytes:
    """The part of a PEM file that is the private key; certificates may stand before it."""
    for label in (b"ENCRYPTED PRIVATE KEY", b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"):
        start = contents.find(b"-----BEGIN " + label + b"-----")
        end = contents.find(b"-----END " + label + b"-----", start)
        if 0 <= start < end:
            return contents[start : end + len(label) + len(b"-----END -----")] + b"\n"
    return contents


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, _LARGEST)
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error


_LARGEST = 1 << 24
"""Bytes of a file with keys and certificates; a pipe or a device may never end."""

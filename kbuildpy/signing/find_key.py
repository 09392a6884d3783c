# SPDX-License-Identifier: GPL-2.0-only
"""The key and the certificate that names stand for: files, or `pkcs11:` URIs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.pin import signing_pin
from kbuildpy.signing.file_key import load_key, read_key_file
from kbuildpy.signing.key_name import is_pkcs11_uri
from kbuildpy.signing.pkcs11_uri import parse_pkcs11_uri
from kbuildpy.signing.private_key import Passphrase, PrivateKey
from kbuildpy.signing.public_key_info import public_bytes
from kbuildpy.signing.signer_certificate import load_certificate


def find_key(name: str, passphrase: Passphrase) -> PrivateKey:
    """The private key that `name` names: a file, or by a `pkcs11:` URI one on a token. Raises as `load_key` and
    `load_token_key`."""
    if is_pkcs11_uri(name):
        key: PrivateKey = _tokens(name).load_token_key(name, passphrase)
        return key
    return load_key(Path(name), passphrase)


def find_pair(key: str, certificate: str, passphrase: Passphrase) -> tuple[PrivateKey, Certificate]:
    """The private key and the certificate that these names name; without `certificate` ("") the one that is in the
    key's file, or on its token. Raises `KbuildError` when they do not belong together, and as `find_key`."""
    if is_pkcs11_uri(key) and not certificate:
        pair: tuple[PrivateKey, Certificate] = _tokens(key).load_token_pair(key, passphrase)
        return pair
    # A pipe, as a shell's <(...) is one, can be read once.
    both = read_key_file(Path(key)) if not is_pkcs11_uri(key) and certificate in ("", key) else None
    # (the certificate first: a passphrase is asked for only if there is one)
    loaded = find_certificate(certificate) if both is None else load_certificate(Path(key), both)
    found = find_key(key, passphrase) if both is None else load_key(Path(key), passphrase, both)
    require_match(found, loaded, ", ".join(shown_name(name) for name in (key, certificate) if name))
    return found, loaded


def shown_name(name: str) -> str:
    """The name of a key or certificate in messages: the path of a file, the attributes of a URI."""
    return str(parse_pkcs11_uri(name)) if is_pkcs11_uri(name) else name


def find_certificate(name: str) -> Certificate:
    """The certificate that `name` names: a file, or by a `pkcs11:` URI one on a token."""
    if is_pkcs11_uri(name):
        found: Certificate = _tokens(name).load_token_certificate(name)
        return found
    return load_certificate(Path(name))


def require_match(key: PrivateKey, certificate: Certificate, names: str) -> None:
    """Refuse a key that is not the certificate's: its signatures would be taken for forged ones."""
    if key.public_bytes() != public_bytes(certificate.public_key()):
        raise KbuildError(
            f"{names}: the private key does not belong to the certificate",
            hint="name the certificate that was made for this key",
        )


def _tokens(uri: str) -> ModuleType:
    """The file of this room that reads what `uri` names on a token. Raises `UsageError` for a malformed URI, and
    `KbuildError` where python-pkcs11 is not installed."""
    parse_pkcs11_uri(uri)
    try:
        from kbuildpy.signing import pkcs11
    except ImportError as error:
        raise KbuildError(
            "keys on tokens need python-pkcs11, which is not installed", hint="pip install python-pkcs11"
        ) from error
    return pkcs11


def environment_passphrase(prompt: Passphrase | None = None) -> Passphrase:
    """The passphrase as Kbuild takes it, from KBUILD_SIGN_PIN, else from `prompt`."""

    def passphrase(name: str) -> str | None:
        given = signing_pin()
        return given if given is not None or prompt is None else prompt(name)

    return passphrase

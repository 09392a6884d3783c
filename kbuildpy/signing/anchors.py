# SPDX-License-Identifier: GPL-2.0-only
"""Reads trusted and revoked certificates from files: certificates, bundles, directories of them, lists of machine owner
keys.

Each file is read and each certificate parsed once, before the first module is looked at.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.der import element
from kbuildpy.signing.efi import SignatureList, is_signature_list, parse_signature_lists
from kbuildpy.signing.read_file import read_small_file

_SUFFIXES = (".pem", ".crt", ".cer", ".der", ".x509")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_HASH = re.compile(r'"?((?:tbs|bin):[^",\s]*)"?,?')


@dataclass(frozen=True)
class Revocations:
    """The revoked certificates and hashes of a file; see `Keyring`."""

    certificates: tuple[Certificate, ...] = ()
    hashes: tuple[str, ...] = ()


def load_certificates(path: Path) -> tuple[Certificate, ...]:
    """All certificates in the file `path`: PEM (whatever else is in it), DER (one after the other), or an EFI
    signature list (`MokListRT`).

    Raises `KbuildError` when the file cannot be read, has none, or one that cannot be used.
    """
    contents = read_small_file(path)
    found = _certificates(contents, str(path))
    if not found:
        raise KbuildError(
            f"{path}: the file has no X.509 certificate", hint="name certificates in PEM, DER or a MOK list"
        )
    return found


def load_directory(directory: Path) -> tuple[Certificate, ...]:
    """The certificates in all files of `directory` that are named like such (.pem, .crt, .cer, .der, .x509), as
    `mokutil --export` leaves them. Raises `UsageError` for a directory without any."""
    if not directory.is_dir():
        raise UsageError(f"{directory}: not a directory", hint="name the directory that holds the certificates")
    files = sorted(item for item in directory.iterdir() if item.suffix.lower() in _SUFFIXES and item.is_file())
    if not files:
        raise UsageError(f"{directory}: no certificates in it", hint=f"they are files named *{', *'.join(_SUFFIXES)}")
    return tuple(certificate for file in files for certificate in load_certificates(file))


def load_revocations(path: Path) -> Revocations:
    """Revoked certificates in `path` (as `load_certificates` reads them), or hashes: those of an EFI signature list
    (`dbx`, `MokListXRT`), or a text as CONFIG_SYSTEM_BLACKLIST_HASH_LIST names it, `"tbs:HEX", "bin:HEX", ...`.

    Raises `KbuildError` for a file that says nothing, or a hash that the kernel refuses (certs/blacklist.c:
    blacklist_vet_description).
    """
    contents = read_small_file(path)
    if is_signature_list(contents):
        lists = _signature_lists(contents, str(path))
        return Revocations(_parsed(lists.certificates, str(path)), lists.hashes)
    certificates = _certificates(contents, str(path))
    hashes = () if certificates else _hashes(contents, path)
    if not certificates and not hashes:
        raise KbuildError(
            f"{path}: the file has neither certificates nor hashes",
            hint="name revoked certificates (PEM, DER), an EFI signature list, or lines like tbs:HEX and bin:HEX",
        )
    return Revocations(certificates, hashes)


def _certificates(contents: bytes, source: str) -> tuple[Certificate, ...]:
    if is_signature_list(contents):
        return _parsed(_signature_lists(contents, source).certificates, source)
    blocks = _PEM.findall(contents)
    if blocks:
        try:
            return _parsed([base64.b64decode(block, validate=False) for block in blocks], source)
        except binascii.Error as error:
            raise KbuildError(f"{source}: a damaged certificate: {error}") from error
    return _parsed(_concatenated(contents, source), source) if contents[:1] == b"\x30" else ()


def _concatenated(contents: bytes, source: str) -> list[bytes]:
    found, offset = [], 0
    try:
        while offset < len(contents):
            end = element(contents, offset).end
            found.append(contents[offset:end])
            offset = end
    except ValueError as error:
        raise KbuildError(f"{source}: a damaged certificate: {error}") from error
    return found


def _parsed(encoded: list[bytes] | tuple[bytes, ...], source: str) -> tuple[Certificate, ...]:
    return tuple(parse_certificate(der, source) for der in encoded)


def _signature_lists(contents: bytes, source: str) -> SignatureList:
    try:
        return parse_signature_lists(contents)
    except ValueError as error:
        raise KbuildError(f"{source}: a damaged EFI signature list: {error}") from error


def _hashes(contents: bytes, path: Path) -> tuple[str, ...]:
    found = []
    for word in _HASH.findall(contents.decode(errors="replace")):
        digits = word[4:]
        if not re.fullmatch(r"(?:[0-9a-f]{2}){1,64}", digits):
            raise KbuildError(
                f"{path}: {word} is no hash that the kernel takes",
                hint="tbs: or bin: and then an even number of digits, at most 128, in lower case",
            )
        found.append(word)
    return tuple(found)

# SPDX-License-Identifier: GPL-2.0-only
"""Private keys out of files.

A key's secret stays in the library's object: it has no representation here that could get into a log, and an
error names the file and never quotes it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.pin import keep_out_of_core_dumps
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import KeyOrigin, Passphrase, this_machine
from kbuildpy.signing.public_key import key_algorithm, refuse_without_digest
from kbuildpy.signing.public_key_info import public_bytes
from kbuildpy.signing.read_file import read_small_file


@dataclass(frozen=True)
class FileKey:
    """A private key that was read from a file."""

    algorithm: str
    _key: Any = field(repr=False)
    name: str = ""

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`."""
        if self.algorithm.startswith("ml-dsa"):
            return bytes(self._key.sign(contents))
        # The digest is taken first: hashlib lets other threads run while it reads a large module.
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`."""
        refuse_without_digest(self.algorithm)
        prehashed = utils.Prehashed(hash.algorithm())
        if self.algorithm == "ecdsa":
            return bytes(self._key.sign(digest, ec.ECDSA(prehashed)))
        try:
            return bytes(self._key.sign(digest, padding.PKCS1v15(), prehashed))
        except ValueError as error:
            raise KbuildError(
                f"an RSA key of {self._key.key_size} bits is too small for a signature with {hash.name}",
                hint="make a larger one (kbuildpy keygen: 4096 bits)",
            ) from error

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        return this_machine(self.name)

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return public_bytes(self._key.public_key())

    def give_up(self) -> None:
        """See `PrivateKey`."""


def load_key(path: Path, passphrase: Passphrase, contents: bytes | None = None) -> FileKey:
    """The private key in the file `path`, whose `contents` may have been read before: PEM (whatever else is in it) or
    DER.

    Raises `UsageError` when there is no such file, `KbuildError` when it cannot be read, holds no key, one that modules
    cannot be signed with, or one that `passphrase` does not open: it is asked once.
    """
    keep_out_of_core_dumps()
    contents = read_key_file(path) if contents is None else contents
    load: Callable[..., Any] = (
        serialization.load_pem_private_key if b"-----BEGIN " in contents else serialization.load_der_private_key
    )
    block = _private_block(contents)
    try:
        return FileKey(*_usable(load(block, None), str(path)), str(path))
    except TypeError:
        return FileKey(*_usable(_open(load, block, path, passphrase), str(path)), str(path))
    except (ValueError, UnsupportedAlgorithm):
        raise KbuildError(f"{path}: no private key", hint="name a key in PEM (PKCS#8 or older) or DER") from None


def read_key_file(path: Path) -> bytes:
    """The contents of the file of a private key. Raises as `read_small_file`."""
    made = f"kbuildpy keygen {shlex.quote(str(path))}    # makes a key and its certificate"
    on_token = re.match(r"pkcs[^:/]*:", str(path), re.IGNORECASE) is not None
    return read_small_file(path, absent="a key on a token is named pkcs11:..." if on_token else made)


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
            f"{path}: the private key has a passphrase",
            hint="set KBUILD_SIGN_PIN, or run the command on a terminal, where it asks for the passphrase",
        )
    try:
        return load(contents, os.fsencode(given))
    except (ValueError, TypeError):
        raise KbuildError(
            f"{path}: the passphrase does not open the private key, or its cipher is not supported"
        ) from None


def _private_block(contents: bytes) -> bytes:
    """The part of a PEM file that is the private key; certificates may stand before it."""
    for label in (b"ENCRYPTED PRIVATE KEY", b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"):
        start = contents.find(b"-----BEGIN " + label + b"-----")
        end = contents.find(b"-----END " + label + b"-----", start)
        if 0 <= start < end:
            return contents[start : end + len(label) + len(b"-----END -----")] + b"\n"
    return contents

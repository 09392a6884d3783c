# SPDX-License-Identifier: GPL-2.0-only
"""A list of digests: what a key signs that is on another machine, and the signatures that come back.

A line of JSON each. A request names a module, its digest, and the certificate that it is to be signed for; an answer
names the digest and has the signature. Answers are appended, so that an interrupted run is finished by another one; the
file goes there and back as it is. It is not trusted: a signature counts only if the certificate's key has made it over
the digest of the module that is here.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular
from kbuildpy.signing.hashes import HASHES, Hash
from kbuildpy.signing.public_key import is_signature_by, key_algorithm

_LONGEST = 1 << 20
"""Bytes of a line, at most."""


@dataclass(frozen=True)
class DigestRequest:
    """A digest to sign."""

    path: str
    """The module, as it was named where the list was made."""
    digest: str
    """Of what is signed of the module: without a signature, decompressed. In hexadecimal."""
    hash: str
    """The name of the digest."""
    certificate: str
    """SHA-256 of the certificate that the signature is for, in hexadecimal."""
    signer: str
    """The subject of that certificate."""


@dataclass(frozen=True)
class DigestAnswer:
    """A signature over a digest."""

    digest: str
    signature: str
    """The key's own signature, in Base64: RSA as PKCS#1 v1.5, ECDSA as DER or as r and s side by side."""
    key: str = ""
    host: str = ""
    time: str = ""
    """Where and when it was made; "" where whoever signed does not tell."""


@dataclass(frozen=True)
class DigestList:
    """What a list holds."""

    requests: tuple[DigestRequest, ...] = field(repr=False)
    answers: Mapping[str, DigestAnswer] = field(repr=False)
    """By digest."""

    @property
    def unanswered(self) -> tuple[DigestRequest, ...]:
        """The requests without an answer, one for each digest."""
        left = {item.digest: item for item in reversed(self.requests) if item.digest not in self.answers}
        return tuple(left[digest] for digest in reversed(left))


def fingerprint(certificate: Certificate) -> str:
    """What names a certificate in a list: its SHA-256."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def request_line(request: DigestRequest) -> bytes:
    """A request as a line of a list."""
    return json.dumps(asdict(request)).encode() + b"\n"


def read_digest_list(path: Path) -> DigestList:
    """The list in the file `path`. Raises `KbuildError` for what cannot be read, or is no such list."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            found, _ = _read(file, path)
            return found
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error


class AnswerFile:
    """A list to which answers are added, by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises as `read_digest_list`, and `KbuildError` where another process adds answers, or nothing can be
        written."""
        self._path = path
        try:
            self._file = os.fdopen(open_regular(path, os.O_RDWR | os.O_APPEND), "a+b")
        except OSError as error:
            raise KbuildError(f"{path}: {error.strerror}") from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.seek(0)
            self.list, whole = _read(self._file, path)
            self._file.truncate(whole)
        except OSError as error:
            self._file.close()
            raise KbuildError(
                f"{path}: another process adds signatures to it"
                if isinstance(error, BlockingIOError | PermissionError)
                else f"{path}: {error.strerror}"
            ) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> AnswerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as failed:
            raise self._not_written(failed) from failed
        finally:
            self._file.close()

    def add(self, answer: DigestAnswer) -> None:
        """Add an answer. Raises `KbuildError` where it cannot be written."""
        try:
            self._file.write(json.dumps(asdict(answer)).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> KbuildError:
        return KbuildError(
            f"{self._path}: {error.strerror}", hint="make room, and run this again: it goes on with what is left"
        )


def right_signature(answer: DigestAnswer, hash: Hash, certificate: Certificate) -> bytes | None:
    """The signature of an answer as it stands in a module; None if `certificate`'s key did not make it over the
    digest."""
    key = certificate.public_key()
    given = base64.b64decode(answer.signature)
    digest = bytes.fromhex(answer.digest)
    forms = [given]
    if key_algorithm(key) == "ecdsa" and len(given) % 2 == 0:
        # (PKCS#11 has the two numbers side by side)
        half = len(given) // 2
        forms.append(encode_dss_signature(*(int.from_bytes(part, "big") for part in (given[:half], given[half:]))))
    return next((form for form in forms if is_signature_by(key, form, digest, hash)), None)


def _read(file: IO[bytes], path: Path) -> tuple[DigestList, int]:
    """The list, and the bytes of its whole lines: a kill may have cut the last one short."""
    requests: list[DigestRequest] = []
    answers: dict[str, DigestAnswer] = {}
    whole = 0
    for number, line in enumerate(_lines(file), 1):
        try:
            entry = _entry(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            if number > 1 and not line.endswith(b"\n") and isinstance(error, json.JSONDecodeError):
                break
            raise KbuildError(
                f"{path}:{number}: not a line of a list of digests",
                hint="name a file that `kbuildpy sign --export` wrote",
            ) from error
        if not line.endswith(b"\n"):
            break
        whole += len(line)
        if isinstance(entry, DigestRequest):
            requests.append(entry)
        else:
            answers[entry.digest] = entry
    if not requests:
        raise KbuildError(f"{path}: no digests in it", hint="name a file that `kbuildpy sign --export` wrote")
    return DigestList(tuple(requests), answers), whole


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(_LONGEST):
        yield line


def _entry(value: Any) -> DigestRequest | DigestAnswer:
    """Raises `ValueError` or `TypeError` for what is neither."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError("not an object of texts")
    entry = DigestAnswer(**value) if "signature" in value else DigestRequest(**value)
    size = len(bytes.fromhex(entry.digest))
    if isinstance(entry, DigestAnswer):
        base64.b64decode(entry.signature, validate=True)
    elif entry.hash not in HASHES or size != len(HASHES[entry.hash].of(b"")):
        raise ValueError("the digest is not of its hash")
    return entry

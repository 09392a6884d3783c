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
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular
from kbuildpy.signing.appended_lines import LONGEST, is_cut
from kbuildpy.signing.hashes import HASHES, Hash
from kbuildpy.signing.public_key import is_signature_by, key_algorithm

_LONGEST_ORIGIN = 1024
"""Characters that an answer may say of its key, host and time each."""
_BEGINNINGS = (b'{"path": "', b'{"digest": "')


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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

    def unanswered(self, certificate: Certificate) -> tuple[DigestRequest, ...]:
        """The requests without a signature by the key of `certificate`, one for each digest."""
        left: dict[str, DigestRequest] = {}
        for item in self.requests:
            answer = self.answers.get(item.digest)
            if answer is None or right_signature(answer, HASHES[item.hash], certificate) is None:
                left.setdefault(item.digest, item)
        return tuple(left.values())


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
            return _read(file, path)[0]
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error


class AnswerFile:
    """A list to which answers are added, by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises as `read_digest_list`, and `KbuildError` where another process adds answers, or nothing can be
        written."""
        self._path = path
        self._lock = threading.Lock()
        try:
            self._file = os.fdopen(open_regular(path, os.O_RDWR | os.O_APPEND), "a+b")
        except OSError as error:
            raise KbuildError(f"{path}: {error.strerror}") from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.seek(0)
            self.list, whole, unended = _read(self._file, path)
            self._file.truncate(whole)
            if unended:
                self._file.write(b"\n")
                self._file.flush()
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
            # (what could not be written is tried once more by it)
            with suppress(OSError):
                self._file.close()

    def add(self, answer: DigestAnswer) -> None:
        """Add an answer. Raises `KbuildError` where it cannot be written."""
        try:
            with self._lock:
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


def _read(file: IO[bytes], path: Path) -> tuple[DigestList, int, bool]:
    """The list, the bytes of its whole lines (a kill may have cut the last one short), and whether the last one is
    whole but for its end."""
    requests: list[DigestRequest] = []
    answers: dict[str, DigestAnswer] = {}
    whole, number, unended = 0, 0, False
    while line := file.readline(LONGEST):
        number += 1
        try:
            entry = _entry(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            if number > 1 and is_cut(line, error, _BEGINNINGS):
                break
            raise KbuildError(
                f"{path}:{number}: not a line of a list of digests",
                hint="name a file that `kbuildpy sign --export` wrote",
            ) from error
        whole += len(line)
        unended = not line.endswith(b"\n")
        if isinstance(entry, DigestRequest):
            requests.append(entry)
        else:
            answers[entry.digest] = entry
    if not requests:
        raise KbuildError(f"{path}: no digests in it", hint="name a file that `kbuildpy sign --export` wrote")
    return DigestList(tuple(requests), answers), whole, unended


def _entry(value: Any) -> DigestRequest | DigestAnswer:
    """Raises `ValueError` or `TypeError` for what is neither."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError("not an object of texts")
    digest = bytes.fromhex(value["digest"]) if "digest" in value else b""
    entry: DigestRequest | DigestAnswer
    if "signature" in value:
        entry = DigestAnswer(**{**value, "digest": digest.hex()})
        base64.b64decode(entry.signature, validate=True)
        if max(map(len, (entry.key, entry.host, entry.time))) > _LONGEST_ORIGIN:
            raise ValueError("more than a name")
        return entry
    # (the same in each line)
    same = {name: sys.intern(value[name]) for name in ("hash", "certificate", "signer") if name in value}
    entry = DigestRequest(**{**value, **same, "digest": digest.hex()})
    if entry.hash not in HASHES or len(digest) != len(HASHES[entry.hash].of(b"")):
        raise ValueError("the digest is not of its hash")
    return entry

# SPDX-License-Identifier: GPL-2.0-only
"""Signatures that were made elsewhere over digests, in place of a key (`digest_list`)."""

from __future__ import annotations

import threading

from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.signing.digest_list import DigestList, right_signature
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import KeyOrigin
from kbuildpy.signing.public_key import key_algorithm, refuse_without_digest
from kbuildpy.signing.public_key_info import public_bytes


class ImportedSignatures:
    """The key of `certificate`, as far as it has signed already. See `PrivateKey`."""

    def __init__(self, found: DigestList, certificate: Certificate) -> None:
        self.algorithm = key_algorithm(certificate.public_key())
        self._certificate = certificate
        self._list = found
        self._asked = {request.digest for request in found.requests}
        self._last = threading.local()

    @classmethod
    def none_of(cls, certificate: Certificate) -> ImportedSignatures:
        """The key of `certificate` before it has signed anything."""
        return cls(DigestList((), {}), certificate)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises `KbuildError` where there is no signature, or one that is not this key's."""
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises as `sign`."""
        refuse_without_digest(self.algorithm)
        name = digest.hex()
        answer = self._list.answers.get(name)
        if answer is None:
            raise KbuildError(
                "its digest has not been signed yet" if name in self._asked else "its digest was not exported",
                hint="sign the list: kbuildpy sign --digests FILE --key KEY"
                if name in self._asked
                else "the module was changed since, or is new: export the digests again",
            )
        signature = right_signature(answer, hash, self._certificate)
        if signature is None:
            raise KbuildError(
                "the signature over its digest is not one by the certificate's key",
                hint="it was damaged, or made with another key: sign the list again",
            )
        self._last.origin = KeyOrigin(answer.key, answer.host)
        return signature

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        origin: KeyOrigin = self._last.origin
        return origin

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return public_bytes(self._certificate.public_key())

    def give_up(self) -> None:
        """See `PrivateKey`."""

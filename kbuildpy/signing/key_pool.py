# SPDX-License-Identifier: GPL-2.0-only
"""One key that signs in several places at a time: sessions of a token, tokens with copies of the same key.

A token in hardware takes milliseconds for a signature, a remote one tens of them, and most can make several at a time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import load_der_public_key

from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import KeyGoneError, KeyOrigin, PrivateKey
from kbuildpy.signing.public_key import is_signature_by, refuse_without_digest

if TYPE_CHECKING:
    from collections.abc import Callable


_AGAIN = "run the command again: it continues with the remaining modules"


class KeyPool:
    """`members`, of which each signs one digest at a time; all have the same public key. See `PrivateKey`.

    A member that is lost, or whose signature is wrong, is told of (`tell`, once for each), and the others do its work.
    """

    def __init__(self, members: Sequence[PrivateKey], tell: Callable[[str], None]) -> None:
        self.algorithm = members[0].algorithm
        self.size = len(members)
        self._first = members[0]
        self._public = load_der_public_key(members[0].public_bytes())
        self._tell = tell
        self._lock = threading.Lock()
        self._left = len(members)
        self._members = tuple(members)
        self._given_up = False
        self._last = threading.local()
        self._free: queue.SimpleQueue[PrivateKey | None] = queue.SimpleQueue()
        for member in members:
            self._free.put(member)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises `KeyGoneError` when the last member is lost."""
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises as `sign`."""
        refuse_without_digest(self.algorithm)
        while True:
            if self._given_up:
                raise KeyGoneError(f"{self._first.origin().key}: not waited for any more")
            member = self._free.get()
            if member is None:
                self._free.put(None)  # (for the next one who waits)
                raise KeyGoneError(
                    f"{self._first.origin().key}: all {self.size} sessions are lost",
                    hint=_AGAIN,
                )
            try:
                signature = member.sign_digest(digest, hash)
                if not is_signature_by(self._public, signature, digest, hash):
                    raise KeyGoneError(f"{member.origin().key}: a signature is not one by the key", hint=_AGAIN)
            except KeyGoneError as error:
                self._lose(error)
                continue
            except BaseException:
                self._free.put(member)
                raise
            self._last.origin = member.origin()
            self._free.put(member)
            return signature

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        origin: KeyOrigin = getattr(self._last, "origin", None) or self._first.origin()
        return origin

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return self._first.public_bytes()

    def give_up(self) -> None:
        """See `PrivateKey`."""
        self._given_up = True
        for member in self._members:
            member.give_up()

    def _lose(self, error: KeyGoneError) -> None:
        with self._lock:
            self._left -= 1
            left = self._left
        if not left or self._given_up:
            self._free.put(None)
            raise error
        self._tell(f"{error.message}; {left} of {self.size} sessions go on")

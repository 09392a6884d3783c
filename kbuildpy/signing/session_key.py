# SPDX-License-Identifier: GPL-2.0-only
"""A token's key in sessions of its own: processes that speak to the token, which this one speaks to.

A PKCS#11 library takes one call at a time (`pkcs11`), so sessions that sign at the same time are processes. The PIN
gets into them through a pipe, when they ask for it, which they do once. They end with this process.
"""

from __future__ import annotations

import json
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.own_command import session_command
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import KeyGoneError, KeyOrigin, Passphrase, this_machine

_AGAIN = "run the command again: it continues with the remaining modules"
_PATIENCE = 5.0
"""Seconds that a token has for the end of its sessions."""


@dataclass(frozen=True)
class SessionKey:
    """A private key on a token that another process may use. It signs one digest at a time. See `PrivateKey`."""

    algorithm: str
    name: str
    _public: bytes = field(repr=False)
    _session: TokenSession = field(repr=False)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises `KeyGoneError` when the token does not sign, or its process has ended."""
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises as `sign`."""
        return bytes.fromhex(self._session.ask({"digest": digest.hex(), "hash": hash.name}, "signature")["signature"])

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        return this_machine(self.name)

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return self._public

    def give_up(self) -> None:
        """See `PrivateKey`."""
        self._session.end()


class TokenSession:
    """The process of a session of the key `uri`. `group` ends it, with others."""

    def __init__(self, uri: str, process: subprocess.Popen[bytes], group: SessionGroup) -> None:
        self.name = uri
        self._process = process
        self._group = group
        self._number = 0

    def open(self, passphrase: Passphrase) -> SessionKey:
        """Log in; `passphrase` is asked if the token wants a PIN. Raises as `load_token_key`."""
        try:
            said = self.ask({"key": self.name}, "ask", "public")
            if "ask" in said:
                said = self.ask({"pin": passphrase(said["ask"])}, "public")
        except KeyboardInterrupt:
            self.end()
            raise
        self.name = said["name"]
        return SessionKey(said["algorithm"], said["name"], bytes.fromhex(said["public"]), self)

    def end(self) -> None:
        """End the process, whatever it waits for."""
        self._process.kill()

    def ask(self, question: dict[str, Any], *expected: str) -> dict[str, Any]:
        """The answer to a question, which has one of the `expected` keys. Raises `KeyGoneError` when there is none, or
        another one, and the error that the answer is."""
        process = self._process
        assert process.stdin and process.stdout
        self._number += 1
        answer = b""
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps({**question, "number": self._number}).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        said = _parsed(answer)
        if said.get("number") == self._number and "error" in said:
            raise _ERRORS[said["kind"]](said["error"], hint=said["hint"])
        if said.get("number") != self._number or not any(key in said for key in expected):
            # (an answer to another question would be another module's signature)
            self.end()
            raise KeyGoneError(f"{self.name}: the process of a session has ended", hint=_AGAIN)
        return said


class SessionGroup:
    """Processes that end together, when nothing refers to this any more."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        weakref.finalize(self, _end_all, self._processes)

    def start(self, uri: str) -> TokenSession:
        """The process of a new session for `uri`, which has not logged in yet. Raises `KbuildError`."""
        try:
            # (in a process group of its own: an interrupt is this process' to handle)
            process = subprocess.Popen(
                session_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise KbuildError(f"a process for a session does not start: {error.strerror}") from error
        self._processes.append(process)
        return TokenSession(uri, process, self)


def _parsed(answer: bytes) -> dict[str, Any]:
    """What a process said, {} for what it does not say."""
    try:
        said = json.loads(answer)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes: each ends when its standard input does."""
    try:
        for process in processes:
            assert process.stdin and process.stdout
            with suppress(OSError):
                process.stdin.close()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()


_ERRORS: dict[str, type[KbuildError]] = {"gone": KeyGoneError, "usage": UsageError, "": KbuildError}

# SPDX-License-Identifier: GPL-2.0-only
"""A token's key in a session of its own: a process that speaks to the token, which this one speaks to.

A PKCS#11 library takes one call at a time (`pkcs11`), so sessions that sign at the same time are processes. The PIN
gets into them through a pipe, when they ask for it, which they do once. They end with this process.
"""

from __future__ import annotations

import json
import subprocess
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.own_command import session_command
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.private_key import KeyGoneError, KeyOrigin, Passphrase, this_machine


@dataclass(frozen=True)
class SessionKey:
    """A private key on a token that another process may use. It signs one digest at a time. See `PrivateKey`."""

    algorithm: str
    name: str
    _public: bytes = field(repr=False)
    _ask: Callable[[dict[str, Any]], dict[str, Any]] = field(repr=False)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises `KeyGoneError` when the token does not sign, or its process has ended."""
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises as `sign`."""
        return bytes.fromhex(self._ask({"digest": digest.hex(), "hash": hash.name})["signature"])

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        return this_machine(self.name)

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return self._public


def open_session(uri: str, passphrase: Passphrase) -> SessionKey:
    """The key that `uri` names, in a new session; `passphrase` is asked if the token wants a PIN.

    Raises as `load_token_key`, and `KbuildError` when the process does not start.
    """
    try:
        process = subprocess.Popen(session_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise KbuildError(f"{uri}: a process for a session does not start: {error.strerror}") from error
    name = "the token"

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin and process.stdout
        answer = b""
        with suppress(OSError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise KeyGoneError(
                f"{name}: the process of a session has ended",
                hint="run the command again: it continues with the remaining modules",
            )
        said: dict[str, Any] = json.loads(answer)
        if "error" in said:
            raise _ERRORS[said["kind"]](said["error"], hint=said["hint"])
        return said

    try:
        said = ask({"key": uri})
        if "ask" in said:
            said = ask({"pin": passphrase(said["ask"])})
    except BaseException:
        _end(process)
        raise
    name = said["name"]
    key = SessionKey(said["algorithm"], name, bytes.fromhex(said["public"]), ask)
    weakref.finalize(key, _end, process)
    return key


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin and process.stdout
    with suppress(OSError):
        process.stdin.close()
    process.stdout.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_PATIENCE = 5.0
"""Seconds that a token has for the end of a session."""

_ERRORS: dict[str, type[KbuildError]] = {"gone": KeyGoneError, "usage": UsageError, "": KbuildError}

# SPDX-License-Identifier: GPL-2.0-only
"""The process of a token's session (`session_key`): it reads questions and writes answers, a line of JSON each.

It ends when its standard input does, that is, also when its parent is killed.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing.find_key import find_key
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.private_key import KeyGoneError, PrivateKey


def main() -> int:
    """Serve the questions on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # (the parent's to handle)
    first = _question()
    if first is None:
        return 0
    try:
        key = find_key(first["key"], _passphrase)
        _answer({"algorithm": key.algorithm, "public": key.public_bytes().hex(), "name": key.origin().key})
    except KbuildError as error:
        _answer(_told(error))
        return 1
    while (question := _question()) is not None:
        _answer(_signed(key, question))
    return 0


def _signed(key: PrivateKey, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"signature": key.sign_digest(bytes.fromhex(question["digest"]), find_hash(question["hash"])).hex()}
    except KbuildError as error:
        return _told(error)


def _passphrase(name: str) -> str | None:
    _answer({"ask": name})
    answer = _question()
    return None if answer is None else answer["pin"]


def _told(error: KbuildError) -> dict[str, Any]:
    kind = "gone" if isinstance(error, KeyGoneError) else "usage" if isinstance(error, UsageError) else ""
    return {"error": error.message, "hint": error.hint, "kind": kind}


def _question() -> dict[str, Any] | None:
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()

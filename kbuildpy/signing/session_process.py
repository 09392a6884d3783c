# SPDX-License-Identifier: GPL-2.0-only
"""The process of a token's session (`session_key`): it reads questions and writes answers, a line of JSON each.

An answer has the number of its question. What the token's library prints on standard output goes to standard error. The
process ends when its standard input does, that is, also when its parent is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import IO, Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing.find_key import find_key
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.private_key import KeyGoneError, PrivateKey


def main() -> int:
    """Serve the questions on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        return _SessionServer(answers).serve()


class _SessionServer:
    """Answers on the stream `answers`."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._number = 0

    def serve(self) -> int:
        first = self._question()
        if first is None:
            return 0
        try:
            key = find_key(first["key"], self._passphrase)
            self._answer({"algorithm": key.algorithm, "public": key.public_bytes().hex(), "name": key.origin().key})
        except KbuildError as error:
            self._answer(_told(error))
            return 1
        while (question := self._question()) is not None:
            self._answer(_signed(key, question))
        return 0

    def _passphrase(self, name: str) -> str | None:
        self._answer({"ask": name})
        answer = self._question()
        return None if answer is None else answer["pin"]

    def _question(self) -> dict[str, Any] | None:
        line = sys.stdin.readline()
        if not line:
            return None
        question: dict[str, Any] = json.loads(line)
        self._number = question["number"]
        return question

    def _answer(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps({**answer, "number": self._number}) + "\n")
        self._answers.flush()


def _signed(key: PrivateKey, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"signature": key.sign_digest(bytes.fromhex(question["digest"]), find_hash(question["hash"])).hex()}
    except KbuildError as error:
        return _told(error)


def _told(error: KbuildError) -> dict[str, Any]:
    kind = "gone" if isinstance(error, KeyGoneError) else "usage" if isinstance(error, UsageError) else ""
    return {"error": error.message, "hint": error.hint, "kind": kind}

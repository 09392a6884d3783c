# SPDX-License-Identifier: GPL-2.0-only
"""Reads statements out of files: bare, in DSSE envelopes, or many of either, a line each (`.intoto.jsonl`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.files import read_limited
from kbuildpy.proof.envelope import Envelope, is_envelope, parse_envelope

_LARGEST = 1 << 28
"""Bytes of a file: a statement has 200 kB, and a bundle may have one for each of a thousand builds."""
_HINT = "name a file that `kbuildpy provenance` wrote"


@dataclass(frozen=True)
class FoundStatement:
    """A statement in a file."""

    where: str
    """The file, and the number of the line where there are several."""
    statement: Mapping[str, Any]
    envelope: Envelope | None
    """The envelope that it was in; None for a bare one."""


def read_proofs(path: Path) -> list[FoundStatement]:
    """The statements in the file `path`. Raises `KbuildError` for one that cannot be read or holds something else."""
    try:
        contents = read_limited(path, _LARGEST)
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    try:
        return [_found(_json(contents), str(path))]
    except ValueError:
        lines = contents.splitlines()
        if len(lines) < 2:
            raise KbuildError(f"{path}: neither a statement nor an envelope", hint=_HINT) from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_found(_json(line), f"{path}:{number}"))
            except ValueError as error:
                raise KbuildError(f"{path}:{number}: neither a statement nor an envelope", hint=_HINT) from error
    return found


def choose_proof(
    found: list[FoundStatement], path: Path, fitting: Sequence[Callable[[FoundStatement], bool]]
) -> FoundStatement:
    """The one of the statements in the file `path` that is about a module; the only one, if there is one. The first of
    the questions `fitting` that any of them answers decides; of several the last statement. Raises `KbuildError` where
    none fits."""
    if len(found) == 1:
        return found[0]
    for fits in fitting:
        if chosen := [item for item in found if fits(item)]:
            return chosen[-1]
    raise KbuildError(f"{path}: none of its {len(found)} statements is about this module")


def _found(value: Any, where: str) -> FoundStatement:
    if not is_envelope(value):
        if not isinstance(value, dict):
            raise ValueError("no object")
        return FoundStatement(where, value, None)
    envelope = parse_envelope(value, where)
    try:
        statement = _json(envelope.payload)
    except ValueError as error:
        raise KbuildError(f"{where}: the payload of the envelope is not JSON") from error
    if not isinstance(statement, dict):
        raise KbuildError(f"{where}: the payload of the envelope is no statement")
    return FoundStatement(where, statement, envelope)


def _json(contents: bytes) -> Any:
    try:
        return json.loads(contents)
    except RecursionError as error:
        raise ValueError("nested too deep") from error

# SPDX-License-Identifier: GPL-2.0-only
"""Damage to texts: bytes, lines, and the values of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

ODD_VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1 << 63,
    1 << 200,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "a" * 100_000,
    "\0",
    "\n",
    "\x1b[31m",
    "\ud800",
    "é" * 3,
    "..",
    "../../x",
    "/",
    "/dev/zero",
    "/etc/passwd",
    "-o",
    "%s%n",
    "$(shell false)",
    [],
    {},
    [[]],
    {"": {}},
    [None] * 50,
)
ODD_WORDS = (
    *(b"\0", b"\n", b"\r", b"\t\t\t", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b]0;x\x07", b"\\", b'"', b"'", b"#", b"="),
    *(
        b"$(",
        b"${",
        b"../../",
        b"/",
        b"[" * 3000,
        b"{" * 3000,
        b'{"a":' * 3000,
        b"9" * 5000,
        b"0x",
        b"-",
        b"a" * 70_000,
    ),
)


def damaged_bytes(contents: bytes, chance: Random) -> bytes:
    """`contents` with a few bytes, parts or lines changed."""
    result = bytearray(contents)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(result) + 1)
        end = min(len(result), at + chance.choice((1, 1, 4, 30, 500)))
        what = chance.randrange(8)
        if what == 0 and at < len(result):
            result[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            result[at:end] = b""
        elif what == 2:
            result[at:at] = result[at:end] * chance.choice((1, 1, 2, 300))
        elif what == 3:
            result[at:end] = chance.choice(ODD_WORDS)
        elif what == 4:
            del result[at:]
        elif what == 5:
            result[at:end] = chance.randbytes(end - at)
        else:
            result = bytearray(_lines(bytes(result), chance))
    return bytes(result)


def _lines(contents: bytes, chance: Random) -> bytes:
    """`contents` with one of its lines left out, repeated, moved, or with another field."""
    lines = contents.split(b"\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(5)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines[at:at] = [lines[other]] * chance.choice((1, 2, 1000))
    elif what == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        separator = chance.choice((b"\t", b" ", b"=", b":", b","))
        fields = lines[at].split(separator)
        fields[chance.randrange(len(fields))] = chance.choice((*ODD_WORDS, b"", b"", fields[-1]))
        lines[at] = separator.join(fields)
    return b"\n".join(lines)


def damaged_json(contents: bytes, chance: Random) -> bytes:
    """One value of JSON with one of its values replaced by another, or its text changed."""
    if chance.random() < 0.3:
        return damaged_bytes(contents, chance)
    value = json.loads(contents)
    for _ in range(chance.choice((1, 1, 1, 3))):
        value = _replaced(value, chance)
    try:
        return json.dumps(value).encode()
    except RecursionError:  # (what is deep already was made deeper)
        return contents


def _replaced(value: Any, chance: Random) -> Any:
    """`value` with something within it (or all of it) replaced, taken away, or put where something else was."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inner or chance.random() < 0.15:
        return _odd(value, chance)
    at = chance.choice(inner)
    if chance.random() < 0.15:
        copy = dict(value) if isinstance(value, dict) else list(value)
        del copy[at]
        return copy
    replaced = _replaced(value[at], chance)
    if isinstance(value, dict):
        return {**value, at: replaced} if chance.random() < 0.9 else {**value, "unheard-of": replaced}
    return [*value[:at], replaced, *value[at + 1 :]]


def _odd(value: Any, chance: Random) -> Any:
    """Something else than `value`, of its type more often than not."""
    if isinstance(value, str) and chance.random() < 0.4:
        return damaged_bytes(value.encode(errors="surrogatepass"), chance).decode(errors="surrogateescape")
    if isinstance(value, int) and chance.random() < 0.4:
        return value + chance.choice((-1, 1, 1 << 31, -(1 << 40)))
    if chance.random() < 0.1:
        deep: Any = value
        for _ in range(chance.choice((5, 500))):
            deep = [deep]
        return deep
    return chance.choice(ODD_VALUES)

"""Reads what the makefiles in `mk/` print: blocks of `KEY VALUE` lines, each closed by `end`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Where the makefiles of ours are (they ship beside this file).
MAKEFILES = Path(__file__).resolve().parent / "mk"


def read_records(text: str) -> Iterator[dict[str, str]]:
    """Each block as a dictionary; a key that stands alone has an empty value."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        if line == "end":
            yield record
            record = {}
        else:
            key, _, value = line.partition(" ")
            record[key] = value.strip()

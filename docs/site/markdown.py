# SPDX-License-Identifier: GPL-2.0-only
"""Pieces of Markdown for the generated pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """`text` as it is, in one line of prose."""
    text = " ".join(text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(text: str, language: str = "") -> str:
    """`text` as lines of code."""
    longest = max((len(run) for run in re.findall(r"^`+", text, re.MULTILINE)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def prose(text: str) -> str:
    """A text that is no Markdown, so that it is shown as it is."""
    return re.sub(r"([\\`*_<>\[\]{}#|$~&!])", r"\\\1", text)


def docstring(text: str) -> str:
    """A docstring: its names in backquotes are code, and the rest is text."""
    pieces = re.split(r"(`[^`\n]+`)", text)
    return "".join(piece if piece.startswith("`") else prose(piece) for piece in pieces)


def definition(term: str, *meanings: str) -> str:
    """A term with one or more meanings."""
    return f"{term}\n" + "".join(f": {_indented(meaning)}\n" for meaning in meanings) + "\n"


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "".join(f"- {_indented(item)}\n" for item in items)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown of one line."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (heads, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(heads)}", *lines[1:]]) + "\n\n"


def _indented(text: str) -> str:
    return text.rstrip("\n").replace("\n", "\n  ")

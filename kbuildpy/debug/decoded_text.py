# SPDX-License-Identifier: GPL-2.0-only
"""A log with its places: behind each line that mentions code the function and its line, and below it the calls that it
is inlined by. The log's own text stays as it is, so a place is found with grep, and the log with `grep -v`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbuildpy.debug.decode import Decoded
from kbuildpy.debug.log_lines import COLOUR
from kbuildpy.printable import printable
from kbuildpy.source_place import Place

_KERNEL = re.compile(r"^/.*/linux[^/]*/(?=[a-z]+/)")


def decoded_lines(lines: Sequence[str], decoded: Sequence[Decoded], *, roots: Sequence[str] = ()) -> Iterator[str]:
    """`lines` with what was `decoded` of them; paths below one of `roots` are told from there. Colours are kept, other
    control characters are escaped."""
    by_line: dict[int, list[Decoded]] = {}
    for each in decoded:
        if each.chains:
            by_line.setdefault(each.mention.number, []).append(each)
    for number, line in enumerate(lines):
        behind, below = [], []
        for each in by_line.get(number, ()):
            first, *others = [chain_texts(chain, roots) for chain in each.chains]
            indent = " " * (each.mention.column + 2)
            behind.append(first[0])
            below += [indent + text for text in first[1:]]
            for other in others:
                below += [f"{indent}or {other[0]}", *(indent + text for text in other[1:])]
        yield "  ".join([_shown(line), *behind])
        yield from below


def chain_texts(chain: Sequence[Place], roots: Sequence[str] = ()) -> list[str]:
    """The innermost place, and the calls that it is inlined by."""
    texts = [place_text(place, roots) for place in chain]
    return [texts[0], *(f"inlined by {text}" for text in texts[1:])] if texts else []


def place_text(place: Place, roots: Sequence[str] = ()) -> str:
    """`poke (boom.c:8)`."""
    line = "" if place.line is None else f":{place.line}"
    return printable(f"{place.function} ({short_path(place.file, roots) or '?'}{line})")


def short_path(path: str, roots: Sequence[str]) -> str:
    """`path` from the first of `roots` that it is below; that of a kernel header from the kernel tree."""
    for root in roots:
        if root not in ("", "/") and path.startswith(root.rstrip("/") + "/"):
            return path[len(root.rstrip("/")) + 1 :]
    return _KERNEL.sub("", path)


def _shown(line: str) -> str:
    if "\x1b" not in line:
        return printable(line)
    kept = COLOUR.findall(line)
    texts = COLOUR.split(line)
    return "".join(printable(text) + colour for text, colour in zip(texts, [*kept, ""], strict=True))

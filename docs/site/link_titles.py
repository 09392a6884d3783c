# SPDX-License-Identifier: GPL-2.0-only
"""Titles in the place of file names: `[build.md](build.md)` serves who reads the documents as files, and on the site
the page is known by its title."""

from __future__ import annotations

import functools
import re
from pathlib import Path

_NAMED_BY_FILE = re.compile(r"\[[\w./-]+\.md\]\((?P<path>[^)#:\s]+\.md)(?P<anchor>#[^)\s]+)?\)")
_FENCE = re.compile(r"^(```.*?^```$)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def with_titles(root: Path, name: str) -> str:
    """The text of the document `name` (a path below `root`), whose links have the title of their page, or of the part
    of it that they lead to, where the text is a file's name. Raises `ValueError` for a page without a title."""
    folder = (root / name).parent

    def titled(link: re.Match[str]) -> str:
        title = _title(folder / link["path"], (link["anchor"] or "").removeprefix("#"))
        return f"[{title}]({link['path']}{link['anchor'] or ''})"

    parts = _FENCE.split((root / name).read_text())
    # (what is in fences is at the odd places)
    return "".join(part if number % 2 else _NAMED_BY_FILE.sub(titled, part) for number, part in enumerate(parts))


@functools.cache
def _title(path: Path, anchor: str) -> str:
    headings = _HEADING.findall(_FENCE.sub("", path.read_text()))
    found = [heading for heading in headings if not anchor or _anchor(heading) == anchor]
    if not found:
        raise ValueError(f"{path}: no heading {anchor}".rstrip())
    return str(found[0])


def _anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

# SPDX-License-Identifier: GPL-2.0-only
"""What the theme's pages lack for people who use a keyboard or a screen reader, and for the search."""

from __future__ import annotations

import re
from pathlib import Path

_REPLACED = (
    # Captions of the navigation are headings of a level.
    (re.compile(r'<p class="caption" role="heading">'), '<p class="caption" role="heading" aria-level="2">'),
    # What scrolls by itself is reached by the keyboard.
    (re.compile(r"<pre>"), '<pre tabindex="0">'),
    (re.compile(r'<div class="table-wrapper([^"]*)">'), r'<div class="table-wrapper\1" tabindex="0">'),
    # The two asides are told apart.
    (re.compile(r'<aside class="sidebar-drawer">'), '<aside class="sidebar-drawer" aria-label="Pages">'),
    (re.compile(r'<aside class="toc-drawer([^"]*)">'), r'<aside class="toc-drawer\1" aria-label="On this page">'),
    # Sphinx marks the words of a search, and fails in the title of an icon. (The buttons have labels of their own.)
    (re.compile(r"(<symbol[^>]*>)\s*<title>[^<]*</title>"), r"\1"),
    # The page of the search has a heading.
    (re.compile(r'(<div id="search-results"></div>)'), r"<h1>Search</h1>\n\1"),
)


def make_accessible(out: Path) -> None:
    """Mend the pages below `out`."""
    for page in out.rglob("*.html"):
        text = page.read_text()
        for pattern, replacement in _REPLACED:
            text = pattern.sub(replacement, text)
        page.write_text(text)

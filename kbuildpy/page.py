# SPDX-License-Identifier: GPL-2.0-only
"""Pages of HTML that stand alone: their styles and scripts are in them, and they refer to no other file.

The page's own policy forbids requests, so that not even a name in a module can cause one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from kbuildpy.printable import printable

FOCUSABLE = 'tabindex="0" role="group" aria-label="table"'
"""Attributes of what is around a table."""


def as_document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """The page with `body` (HTML), which begins with its heading. `style` and `script` are added to what all pages
    have."""
    scripts = "; script-src 'unsafe-inline'" if script else ""
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{scripts}\">",
        f"<title>{text_of(title)}</title>",
        f"<style>\n{theme()}{file_beside(__file__, 'page.css')}{style}</style>\n</head>\n<body>\n{body}",
        f'<script>\n"use strict";\n{script}</script>' if script else "",
        "</body>\n</html>",
    ]
    return in_ascii("\n".join(filter(None, lines)))


def in_ascii(markup: str) -> str:
    """`markup` (HTML or XML) with references in place of other characters than ASCII: standard output may have any
    encoding."""
    return markup.encode("ascii", "xmlcharrefreplace").decode()


def theme() -> str:
    """The colours of all pages, as CSS."""
    return file_beside(__file__, "theme.css")


def text_of(text: str) -> str:
    """`text` for a place in HTML or SVG, also in an attribute: printable, without markup. (XML has no control
    characters.)"""
    return escape(printable(text).replace("\t", " "))


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table with the headings `head`. Cells are HTML; the columns `numbers` are aligned to the right."""

    def row(cells: Sequence[str], tag: str, scope: str = "") -> str:
        kinds = [' class="number"' if at in numbers else "" for at in range(len(cells))]
        marked = (f"<{tag}{scope}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    lines = [f"<thead>{row([*map(text_of, head)], 'th', ' scope=col')}</thead>", "<tbody>"]
    lines += [row(cells, "td") for cells in rows]
    # (who has no pointer scrolls a wide table by its focus)
    return f'<div class="wide" {FOCUSABLE}><table>\n' + "\n".join(lines) + "\n</tbody></table></div>"


def in_script(value: Any) -> str:
    """JSON that cannot end the script element that it stands in, whatever modules and compilers say."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def file_beside(code: str, name: str) -> str:
    """The text of the file `name` in the folder of the Python file `code`."""
    return Path(code).with_name(name).read_text(encoding="utf-8")

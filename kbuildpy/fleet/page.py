# SPDX-License-Identifier: GPL-2.0-only
"""The overview of a matrix as one HTML page, without references to other files: modules by kernels."""

from __future__ import annotations

import html
from importlib import resources
from typing import Any

from kbuildpy.fleet.overview import Overview, row_names
from kbuildpy.page import in_script, theme

_DATA = "@DATA@"
_TITLE = "@TITLE@"
_THEME = "@THEME@"


def as_page(overview: Overview, title: str) -> str:
    """The page. Its data is compact: a reason that many squares have is there once."""
    texts: dict[tuple[str, str, str, str], int] = {}
    squares = []
    names = row_names(overview)
    for row in overview.rows:
        line: list[Any] = []
        for kernel in overview.kernels:
            square = overview.squares.get((row, kernel))
            if square is None:
                line.append(0)
                continue
            said = [(record.step, record.status, record.reason, record.hint) for record in square.records]
            line.append([square.status[0], [texts.setdefault(text, len(texts)) for text in said]])
        squares.append(line)
    data = {
        "kernels": overview.kernels,
        "rows": [[names[row], row[0]] for row in overview.rows],
        "squares": squares,
        "texts": list(texts),
    }
    page = resources.files("kbuildpy.fleet").joinpath("page.html").read_text(encoding="utf-8")
    return page.replace(_THEME, theme()).replace(_TITLE, html.escape(title)).replace(_DATA, in_script(data))

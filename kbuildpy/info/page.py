# SPDX-License-Identifier: GPL-2.0-only
"""Module files as one page of HTML that stands alone: no script, no file beside it, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kbuildpy.info.memory import ModuleMemory
from kbuildpy.info.picture import as_svg
from kbuildpy.info.report import ModuleInfo
from kbuildpy.info.text import as_rows
from kbuildpy.page import FOCUSABLE, as_document, table_of, text_of

_STYLE = """
.rows th { font-weight: normal; color: var(--dim); white-space: nowrap; }
.rows td { font: 0.92em/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def as_page(modules: Sequence[ModuleInfo]) -> str:
    """The page of `modules`."""
    names = ", ".join(_name(info) for info in modules)
    body = "\n".join(part for info in modules for part in _module(info))
    return as_document(f"{names}: kbuildpy info", f"<main>\n{body}\n</main>", style=_STYLE)


def _module(info: ModuleInfo) -> Iterable[str]:
    yield f"<h1>{text_of(_name(info))}</h1>"
    yield f"<p>{text_of(info.file)}</p>"
    if info.memory is not None:
        yield "<h2>Memory</h2>"
        yield as_svg(info.memory)
        yield _sections(info.memory)
    yield "<h2>What it has and needs</h2>"
    yield _table(as_rows(info))
    yield "<h2>Fields</h2>"
    yield _table(info.fields)


def _sections(memory: ModuleMemory) -> str:
    rows = [
        [
            text_of(section.name),
            text_of(block.kind),
            section.access,
            f"{section.offset:#x}",
            str(section.size),
            "freed when init is over" if block.is_freed else "stays",
        ]
        for block in memory.blocks
        for section in block.sections
    ]
    head = ["section", "memory", "access", "offset", "bytes", "after init"]
    return f"<details><summary>{len(rows)} sections</summary>{table_of(head, rows, numbers=(3, 4))}</details>"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    # (an empty heading is one to a screen reader, too)
    heads = ((f'<th scope="row">{text_of(name)}</th>' if name else "<td></td>", value) for name, value in rows)
    cells = (f"<tr>{head}<td>{_lines(value)}</td></tr>" for head, value in heads)
    return '<div class="wide" ' + FOCUSABLE + '><table class="rows">\n' + "\n".join(cells) + "\n</table></div>"


def _lines(value: str) -> str:
    return "<br>".join(map(text_of, value.split("\n")))


def _name(info: ModuleInfo) -> str:
    return next(iter(info.values("name")), "") or info.file.rpartition("/")[2]

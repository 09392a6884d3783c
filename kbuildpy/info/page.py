# SPDX-License-Identifier: GPL-2.0-only
"""Module files as one page of HTML that stands alone: no script, no file beside it, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kbuildpy.info.memory import ModuleMemory
from kbuildpy.info.picture import as_svg, text_of
from kbuildpy.info.report import ModuleInfo
from kbuildpy.info.text import as_rows

_STYLE = """
body { font-family: sans-serif; max-width: 62em; margin: 1em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
td, th { border-bottom: 1px solid #dddddd; padding: 0.15em 0.8em 0.15em 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td, pre { font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; }
"""


def as_page(modules: Sequence[ModuleInfo]) -> str:
    """The page of `modules`."""
    names = ", ".join(_name(info) for info in modules)
    body = "\n".join(part for info in modules for part in _module(info))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{text_of(names)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>"
    )


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
        f"<tr><td>{text_of(section.name)}</td><td>{text_of(block.kind)}</td><td>{section.access}</td>"
        f'<td class="number">{section.offset:#x}</td><td class="number">{section.size}</td>'
        f"<td>{'freed when init is over' if block.is_freed else 'stays'}</td></tr>"
        for block in memory.blocks
        for section in block.sections
    ]
    head = "<tr><th>section</th><th>memory</th><th>access</th><th>offset</th><th>bytes</th><th></th></tr>"
    return f"<details><summary>{len(rows)} sections</summary><table>{head}\n" + "\n".join(rows) + "</table></details>"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{text_of(name)}</th><td>{_lines(value)}</td></tr>" for name, value in rows)
    return "<table>\n" + "\n".join(cells) + "\n</table>"


def _lines(value: str) -> str:
    return "<br>".join(map(text_of, value.split("\n")))


def _name(info: ModuleInfo) -> str:
    return next(iter(info.values("name")), "") or info.file.rpartition("/")[2]

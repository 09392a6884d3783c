# SPDX-License-Identifier: GPL-2.0-only
"""A graph of modules as a page of HTML that stands alone: the picture, and the same as a table.

The script shows what a module needs, and who needs it, when it is pointed at, or chosen in the field.
"""

from __future__ import annotations

from collections.abc import Iterable

from kbuildpy.graph.module_graph import ModuleGraph
from kbuildpy.graph.picture import as_picture
from kbuildpy.page import as_document, file_beside, table_of, text_of

_STYLE = file_beside(__file__, "page.css")

_SCRIPT = file_beside(__file__, "page.js")


def as_page(graph: ModuleGraph, *, every: bool = False) -> str:
    """The page of `graph`."""
    count = len(graph.nodes)
    title = f"{count} module{'s' * (count != 1)}{f' and {graph.kernel}' if graph.kernel else ''}"
    needs: dict[str, list[str]] = {}
    users: dict[str, list[str]] = {}
    for edge in graph.edges:
        words = f" ({', '.join(edge.symbols)})" if edge.symbols else f" ({edge.kind})"
        needs.setdefault(edge.user, []).append(edge.needed + words)
        users.setdefault(edge.needed, []).append(edge.user)
    rows = (
        [text_of(node.name), node.kind, _listed(needs.get(node.name, ())), _listed(users.get(node.name, ()))]
        for node in graph.nodes
    )
    parts = [
        f"<header><h1>{text_of(title)}</h1>",
        '<p><label>Show <input id="words" type="search" placeholder="part of a name"></label>',
        '<span id="said" role="status"></span></p></header>\n<main>',
        '<div class="picture" tabindex="0" role="region" aria-label="the picture">',
        as_picture(graph, every=every),
        "</div>",
        "<h2>The same as a table</h2>",
        table_of(["module", "kind", "needs (symbols)", "is needed by"], rows),
        "</main>",
    ]
    return as_document(f"{title}: kbuildpy graph", "\n".join(parts), style=_STYLE, script=_SCRIPT)


def _listed(items: Iterable[str]) -> str:
    return "<br>".join(map(text_of, items))

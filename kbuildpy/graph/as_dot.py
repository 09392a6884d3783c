# SPDX-License-Identifier: GPL-2.0-only
"""A graph of modules in Graphviz' language (graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from kbuildpy.graph.module_graph import GIVEN, GraphEdge, GraphNode, ModuleGraph
from kbuildpy.printable import printable


def as_dot(graph: ModuleGraph) -> str:
    """The text of the graph. Who needs something is above it."""
    lines = ["digraph modules {", "  node [shape=box, fontname=sans];", "  edge [fontname=sans, fontsize=9];"]
    lines += [f"  {_quoted(node.name)} [{_node(node)}];" for node in graph.nodes]
    lines += [f"  {_quoted(edge.user)} -> {_quoted(edge.needed)} [{_edge(edge)}];" for edge in graph.edges]
    return "\n".join([*lines, "}"])


def _node(node: GraphNode) -> str:
    style = "solid" if node.kind == GIVEN else "rounded"
    return f"style={style}, tooltip={_quoted(f'{node.name} ({node.kind})')}"


def _edge(edge: GraphEdge) -> str:
    words = ", ".join(edge.symbols) or edge.kind
    style = "dashed" if edge.is_soft else "dotted" if edge.implied else "solid"
    return f"style={style}, tooltip={_quoted(words)}"


def _quoted(text: str) -> str:
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

# SPDX-License-Identifier: GPL-2.0-only
"""A graph of modules as JSON (docs/json.md)."""

from __future__ import annotations

from kbuildpy.graph.module_graph import ModuleGraph


def to_json(graph: ModuleGraph) -> dict[str, object]:
    """The object."""
    return {
        "kernel": graph.kernel,
        "modules": [node._asdict() for node in graph.nodes],
        "edges": [edge._asdict() for edge in graph.edges],
    }

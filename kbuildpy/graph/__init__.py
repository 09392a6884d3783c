# SPDX-License-Identifier: GPL-2.0-only
"""Which module needs which: by the symbols that it imports, and by the soft dependencies that it states.

- `read_module`: what one file exports, imports and states. `gather`: from files and a kernel to a `ModuleGraph`.
- `module_graph`: the graph as a value; what follows from other edges, circles, the neighbourhood of modules.
- `boxes`: modules of one kind as one box; `layers`: a place for each box, from bottom to top.
- `as_json`, `as_dot` (for Graphviz), `picture` (SVG), `page` (HTML): the graph written.
"""

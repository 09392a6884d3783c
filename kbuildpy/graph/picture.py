# SPDX-License-Identifier: GPL-2.0-only
"""A graph of modules as a picture: what is needed is below what needs it; symbols are the titles of the edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

from kbuildpy.graph.boxes import COLUMN_GAP, FONT, LINE, PADDING, Box, BoxEdge, boxes_of
from kbuildpy.graph.layers import Drawing, lay_out
from kbuildpy.graph.module_graph import AFTER, BEFORE, GIVEN, OWN, UNKNOWN, GraphEdge, GraphNode, ModuleGraph
from kbuildpy.page import file_beside, text_of
from kbuildpy.printable import printable
from kbuildpy.svg import CHARACTER, as_svg, text

SMALL = 40
"""Up to so many modules, edges that follow from others are drawn too."""
_TITLES = 40
"""Symbols in the title of an edge."""
_DESCRIBED = 60
_WIDEST = 1300.0
_MARGIN, _TOP, _LEGEND, _LEGEND_WIDTH = 16.0, 56.0, 40.0, 900.0
_KINDS = {GIVEN: "named module", OWN: "module of the kernel", UNKNOWN: "not found"}

_STYLE = file_beside(__file__, "picture.css")


def drawn_edges(graph: ModuleGraph, *, every: bool) -> list[GraphEdge]:
    """The edges that are drawn: in a large graph not those that follow from others, unless it shall be `every` one."""
    return [edge for edge in graph.edges if every or len(graph.nodes) <= SMALL or not edge.implied]


def as_picture(graph: ModuleGraph, *, every: bool = False) -> str:
    """The picture of `graph`, as SVG."""
    edges = drawn_edges(graph, every=every)
    boxes, box_edges = boxes_of(graph, edges)
    linked = {end for edge in box_edges for end in (edge.upper, edge.lower)}
    alone = [box for number, box in enumerate(boxes) if number not in linked]
    order = [number for number in range(len(boxes)) if number in linked]
    number_of = {old: new for new, old in enumerate(order)}
    shown = [boxes[number] for number in order]
    moved = [edge._replace(upper=number_of[edge.upper], lower=number_of[edge.lower]) for edge in box_edges]
    # (hard edges decide first which way is up)
    ranked = sorted(moved, key=lambda edge: edge.edges[0].is_soft)
    drawing = lay_out([box.width for box in shown], [(edge.upper, edge.lower) for edge in ranked], most=_WIDEST)
    title = _title(graph, edges)
    bands, bottom = _bands(drawing, shown)
    parts = [text(_MARGIN, 26, title, more=' font-size="15" font-weight="bold"')]
    parts += [text(_MARGIN, 44, note, kind="p-dim") for note in _notes(graph, edges)]
    places = _Places(drawing, shown, bands)
    for edge in ranked:
        parts += _edge(edge, places)
    nodes = {node.name: node for node in graph.nodes}
    for number, box in enumerate(shown):
        # (boxes stand on the lower side of their layer)
        top = bands[number].bottom - box.height
        parts += _box(box, _MARGIN + drawing.centers[number] - box.width / 2, top, nodes)
    row, right, height = _MARGIN, _MARGIN + drawing.width, 0.0
    if alone:
        bottom += 22
        parts.append(text(_MARGIN, bottom, "These need none of the others:", kind="p-dim"))
        bottom += 10
    for box in alone:
        if row > _MARGIN and row + box.width > max(_WIDEST, drawing.width):
            row, bottom, height = _MARGIN, bottom + height + 12, 0.0
        parts += _box(box, row, bottom, nodes)
        row += box.width + 14
        right, height = max(right, row), max(height, box.height)
    width = max(right + _MARGIN, len(title) * 15 * CHARACTER, _LEGEND_WIDTH)
    bottom += height + 30
    parts += _legend(bottom)
    return as_svg(width, bottom + _LEGEND, title=title, description=_in_words(graph, edges), parts=parts, style=_STYLE)


def _title(graph: ModuleGraph, edges: Sequence[GraphEdge]) -> str:
    count = len(graph.nodes)
    of = f" ({graph.kernel})" if graph.kernel else ""
    return f"{count} module{'s' * (count != 1)}, {len(edges)} edge{'s' * (len(edges) != 1)}{of}"


def _notes(graph: ModuleGraph, edges: Sequence[GraphEdge]) -> Iterator[str]:
    left_out = len(graph.edges) - len(edges)
    if left_out:
        yield f"{left_out} more edges follow from these, over other modules, and are left out (--every-edge draws them)"
    elif not graph.kernel:
        yield "No kernel is known: what its own modules need is not shown (-k KERNEL)"


class _Band(NamedTuple):
    """The upper and the lower side of a layer."""

    top: float
    bottom: float


def _bands(drawing: Drawing, boxes: Sequence[Box]) -> tuple[dict[int, _Band], float]:
    """The layer of each box and bend, and the lower side of all."""
    bands: dict[int, _Band] = {}
    top = _TOP
    for row in reversed(drawing.layers):
        height = max((boxes[number].height for number in row if number < len(boxes)), default=0.0)
        bands.update((number, _Band(top, top + height)) for number in row)
        top += height + 34 + min(4.0 * len(row), 46)
    return bands, max((band.bottom for band in bands.values()), default=_TOP)


class _Places:
    """Where edges leave and reach boxes: in the order of their other ends, so that they do not cross there."""

    def __init__(self, drawing: Drawing, boxes: Sequence[Box], bands: dict[int, _Band]) -> None:
        self._drawing, self._boxes, self._bands = drawing, boxes, bands
        leave: dict[int, list[tuple[float, tuple[int, int]]]] = {}
        reach: dict[int, list[tuple[float, tuple[int, int]]]] = {}
        for (upper, lower), bends in drawing.bends.items():
            first, last = (bends[0], bends[-1]) if bends else (lower, upper)
            leave.setdefault(upper, []).append((drawing.centers[first], (upper, lower)))
            reach.setdefault(lower, []).append((drawing.centers[last], (upper, lower)))
        self._leaves = self._spread(leave)
        self._reaches = self._spread(reach)

    def _spread(self, ends: dict[int, list[tuple[float, tuple[int, int]]]]) -> dict[tuple[int, int], float]:
        found = {}
        for number, edges in ends.items():
            width = min(self._boxes[number].width * 0.8, 26.0 * (len(edges) - 1))
            for at, (_, edge) in enumerate(sorted(edges)):
                share = at / (len(edges) - 1) - 0.5 if len(edges) > 1 else 0.0
                found[edge] = self._drawing.centers[number] + share * width
        return found

    def points(self, edge: BoxEdge) -> list[tuple[float, float]]:
        """The points of an edge, from the upper box to the lower one. Within a layer it is vertical: beside it may be
        taller boxes."""
        pair, centers = (edge.upper, edge.lower), self._drawing.centers
        above, below = self._bands[edge.upper], self._bands[edge.lower]
        upper, lower = self._boxes[edge.upper], self._boxes[edge.lower]
        if pair not in self._drawing.bends:
            # (it closes a circle, and leads from below upwards)
            return [
                (_MARGIN + centers[edge.upper] + upper.width / 4, above.bottom - upper.height),
                (_MARGIN + centers[edge.lower] + lower.width / 4, below.bottom),
            ]
        found = [(_MARGIN + self._leaves[pair], above.bottom)]
        for bend in self._drawing.bends[pair]:
            found += [(_MARGIN + centers[bend], side) for side in self._bands[bend]]
        end = _MARGIN + self._reaches[pair]
        return [*found, (end, below.top), (end, below.bottom - lower.height)]


def _edge(edge: BoxEdge, places: _Places) -> Iterator[str]:
    first = edge.edges[0]
    points = places.points(edge)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        if x == to_x:
            path += f"V{to_y:.1f}"
            continue
        path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
    kinds = ["p-edge"]
    kinds += ["p-implied"] if all(item.implied for item in edge.edges) else []
    kinds += ["p-soft-edge"] if first.is_soft else []
    kinds += ["p-circle"] if any(item.in_circle for item in edge.edges) else []
    (x, y), down = points[-1], points[-1][1] >= points[0][1]
    tip = -7 if down else 7
    names = " ".join(f"{item.user}>{item.needed}" for item in edge.edges)
    yield f'<g class="p-arrow" data-edges="{text_of(names)}"><title>{_words(edge.edges)}</title>'
    yield f'<path class="p-wide" d="{path}"/><path class="{" ".join(kinds)}" d="{path}"/>'
    yield f'<path class="p-tip" d="M{x:.1f} {y:.1f}l-3.5 {tip}h7z"/></g>'


def _words(edges: Sequence[GraphEdge]) -> str:
    lines = []
    for edge in edges[:_TITLES]:
        said = f"{edge.user} needs {edge.needed}"
        if edge.kind == BEFORE:
            said = f"{edge.user} has {edge.needed} loaded before it, if it is there"
        elif edge.kind == AFTER:
            said = f"{edge.user} has {edge.needed} loaded after it, if it is there"
        if edge.symbols:
            more = f", and {len(edge.symbols) - _TITLES} more" if len(edge.symbols) > _TITLES else ""
            said += f" for {', '.join(edge.symbols[:_TITLES])}{more}"
        said += " (in a circle: neither can be loaded)" if edge.in_circle else ""
        lines.append(text_of(said))
    if len(edges) > _TITLES:
        lines.append(f"and {len(edges) - _TITLES} more modules")
    return "\n".join(lines)


def _box(box: Box, left: float, top: float, nodes: dict[str, GraphNode]) -> Iterator[str]:
    kind = {OWN: " p-own", UNKNOWN: " p-unknown"}.get(box.kind, "")
    first = text_of(box.names[0])
    yield f'<g class="p-node" id="module-{first}" data-names="{text_of(" ".join(box.names))}">'
    lines = "\n".join(_node_words(nodes[name]) for name in box.names[:_TITLES])
    yield f"<title>{lines}</title>"
    yield (
        f'<rect class="p-box{kind}" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        'rx="5"/>'
    )
    line = top + PADDING + 12
    if box.has_heading:
        words = f"{len(box.names)} that need the same"
        yield text(left + PADDING, line, words, kind="p-dim", more=' font-size="11" font-style="italic"')
        line += LINE
    columns = [box.names[at * box.rows : (at + 1) * box.rows] for at in range(box.columns)]
    for down, names in enumerate(zip_longest(*columns, fillvalue="")):
        for at, name in enumerate(names):
            if name:
                x = left + PADDING + at * (box.column_width + COLUMN_GAP)
                middle = "" if box.has_heading else ' text-anchor="middle"'
                x = x if box.has_heading else left + box.width / 2
                yield text(x, line + down * LINE, printable(name), more=f' font-size="{FONT}"{middle}')
    yield "</g>"


def _node_words(node: GraphNode) -> str:
    said = f"{node.name}: {_KINDS[node.kind]}"
    said += f", {node.kernel_symbols} symbols of the kernel itself" if node.kernel_symbols else ""
    said += f", nobody exports {', '.join(node.missing[:_TITLES])}" if node.missing else ""
    return text_of(said)


def _legend(top: float) -> Iterator[str]:
    left = _MARGIN
    for kind, words in (("", _KINDS[GIVEN]), (" p-own", _KINDS[OWN]), (" p-unknown", _KINDS[UNKNOWN])):
        yield f'<rect class="p-box{kind}" x="{left:.1f}" y="{top:.1f}" width="22" height="13" rx="3"/>'
        yield text(left + 28, top + 11, words)
        left += 52 + len(words) * 12 * CHARACTER
    for kind, words in (("", "needs"), (" p-soft-edge", "soft dependency"), (" p-implied", "follows from others")):
        yield f'<path class="p-edge{kind}" d="M{left:.1f} {top + 7:.1f}h26"/>'
        yield text(left + 32, top + 11, words)
        left += 58 + len(words) * 12 * CHARACTER


def _in_words(graph: ModuleGraph, edges: Sequence[GraphEdge]) -> str:
    if not edges:
        return "No module needs another one."
    said = [f"{edge.user} needs {edge.needed}" for edge in edges[:_DESCRIBED]]
    more = len(edges) - len(said)
    return "What is needed is below. " + "; ".join(said) + (f"; and {more} more." if more else ".")

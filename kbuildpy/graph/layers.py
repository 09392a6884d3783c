# SPDX-License-Identifier: GPL-2.0-only
"""A place for each box of a drawing, in layers from bottom to top, with edges that cross as little as they can.

The usual three steps (Sugiyama, Tagawa, Toda 1981): boxes get layers, of bounded width (as Coffman and Graham bound
the number of jobs), the order in a layer follows the neighbours' (barycentres), and places are those nearest to the
neighbours that keep the order (isotonic regression).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP = 18.0
"""Between two boxes of a layer."""
_DUMMY_GAP, _SWEEPS, _USELESS, _MOVES = 7.0, 14, 4, 10

Edge = tuple[int, int]
"""The upper box, and the lower one that it stands on."""


@dataclass(frozen=True)
class Drawing:
    """Where everything is."""

    layers: list[list[int]]
    """The numbers of the boxes and bends of each layer, from the bottom one up, from left to right."""
    centers: Mapping[int, float]
    """The middle of each of them, horizontally."""
    bends: Mapping[Edge, Sequence[int]]
    """Where an edge passes through a layer between its boxes: numbers beyond those of the boxes, from above down."""
    width: float


def lay_out(widths: Sequence[float], edges: Iterable[Edge], *, most: float) -> Drawing:
    """The places of boxes with these `widths`; a layer is about as wide as `most` at most. `edges` that would close a
    circle are left out of the layers."""
    sound = without_circles(len(widths), edges)
    layer_of = _layers(widths, sound, most)
    size = dict(enumerate(widths))
    bends: dict[Edge, list[int]] = {}
    links: list[Edge] = []
    for upper, lower in sound:
        chain = [upper]
        for layer in range(layer_of[upper] - 1, layer_of[lower], -1):
            bend = len(size)
            size[bend], layer_of[bend] = 0.0, layer
            chain.append(bend)
        bends[upper, lower] = chain[1:]
        links += zip(chain, [*chain[1:], lower], strict=True)
    rows: list[list[int]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for number in sorted(layer_of):
        rows[layer_of[number]].append(number)
    neighbours = _Neighbours(links)
    rows = _ordered(rows, neighbours)
    centers = _placed(rows, size, neighbours)
    left = min((centers[number] - size[number] / 2 for number in centers), default=0.0)
    centers = {number: center - left for number, center in centers.items()}
    right = max((centers[number] + size[number] / 2 for number in centers), default=0.0)
    return Drawing(rows, centers, bends, right)


def without_circles(count: int, edges: Iterable[Edge]) -> list[Edge]:
    """`edges` without those that close a circle, each once."""
    below: dict[int, list[int]] = {number: [] for number in range(count)}
    kept: list[Edge] = []
    for upper, lower in dict.fromkeys(edges):
        if upper != lower and not _leads(below, lower, upper):
            below[upper].append(lower)
            kept.append((upper, lower))
    return kept


def _leads(below: Mapping[int, Sequence[int]], start: int, goal: int) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        number = waiting.pop()
        if number == goal:
            return True
        for other in below[number]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return False


def _layers(widths: Sequence[float], edges: Sequence[Edge], most: float) -> dict[int, int]:
    """The layer of each box, 0 at the bottom: above all that it stands on, and where the layer is not full yet."""
    below: dict[int, list[int]] = {number: [] for number in range(len(widths))}
    above: dict[int, list[int]] = {number: [] for number in range(len(widths))}
    for upper, lower in edges:
        below[upper].append(lower)
        above[lower].append(upper)
    layer_of: dict[int, int] = {}
    filled: dict[int, float] = {}
    waiting = {number: len(found) for number, found in below.items()}
    ready = [number for number, count in waiting.items() if not count]
    while ready:
        # (what much stands on comes first, as low as it can)
        ready.sort(key=lambda number: (_lowest(below, layer_of, number), -len(above[number]), number))
        number = ready.pop(0)
        layer = _lowest(below, layer_of, number)
        while filled.get(layer) and filled[layer] + widths[number] > most:
            layer += 1
        layer_of[number] = layer
        filled[layer] = filled.get(layer, 0.0) + widths[number] + GAP
        for other in above[number]:
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return layer_of


def _lowest(below: Mapping[int, Sequence[int]], layer_of: Mapping[int, int], number: int) -> int:
    return max((layer_of[other] + 1 for other in below[number]), default=0)


@dataclass(frozen=True)
class _Neighbours:
    """The numbers that each is linked with, in the layers beside its own."""

    links: Sequence[Edge]
    below: dict[int, list[int]] = field(default_factory=dict)
    above: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for upper, lower in self.links:
            self.below.setdefault(upper, []).append(lower)
            self.above.setdefault(lower, []).append(upper)

    def of(self, number: int) -> list[int]:
        return self.below.get(number, []) + self.above.get(number, [])


def _ordered(rows: list[list[int]], neighbours: _Neighbours) -> list[list[int]]:
    """`rows` in the order with the fewest crossings that some sweeps up and down find."""
    best, fewest, useless = rows, _crossings(rows, neighbours), 0
    for sweep in range(_SWEEPS):
        upwards = sweep % 2 == 0
        beside = neighbours.below if upwards else neighbours.above
        rows = [*rows]
        for layer in range(len(rows)) if upwards else range(len(rows) - 1, -1, -1):
            before = rows[layer - 1] if upwards and layer else rows[layer + 1] if layer + 1 < len(rows) else []
            place = {number: at for at, number in enumerate(before)}
            rows[layer] = _by_barycentre(rows[layer], beside, place)
        count = _crossings(rows, neighbours)
        useless += 1
        if count < fewest:
            best, fewest, useless = rows, count, 0
        if useless == _USELESS:
            break
    return best


def _by_barycentre(row: Sequence[int], beside: Mapping[int, Sequence[int]], place: Mapping[int, int]) -> list[int]:
    """`row` sorted by the mean place of the neighbours; who has none keeps its place as well as it can."""
    key = {}
    for at, number in enumerate(row):
        places = [place[other] for other in beside.get(number, ()) if other in place]
        key[number] = sum(places) / len(places) if places else at * max(len(place), 1) / len(row)
    return sorted(row, key=lambda number: key[number])


def _crossings(rows: Sequence[Sequence[int]], neighbours: _Neighbours) -> int:
    count = 0
    for lower, upper in pairwise(rows):
        place = {number: at for at, number in enumerate(lower)}
        seen: list[int] = []
        for number in upper:
            ends = sorted(place[other] for other in neighbours.below.get(number, ()))
            count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _placed(rows: Sequence[Sequence[int]], size: Mapping[int, float], neighbours: _Neighbours) -> dict[int, float]:
    """The middle of each: as near to its neighbours as the order lets it be."""
    centers: dict[int, float] = {}
    for row in rows:
        right = 0.0
        for at, number in enumerate(row):
            right += _between(row, at, size) if at else size[number] / 2
            centers[number] = right
    for move in range(_MOVES):
        for row in rows if move % 2 == 0 else rows[::-1]:
            wishes, weights = [], []
            for number in row:
                beside = neighbours.of(number)
                wishes.append(sum(centers[other] for other in beside) / len(beside) if beside else centers[number])
                # (long edges are to be straight)
                weights.append(4.0 if not size[number] else 1.0 if beside else 0.1)
            offsets = [0.0]
            for at in range(1, len(row)):
                offsets.append(offsets[-1] + _between(row, at, size))
            free = _rising([wish - offset for wish, offset in zip(wishes, offsets, strict=True)], weights)
            centers.update((number, place + offset) for number, place, offset in zip(row, free, offsets, strict=True))
    return centers


def _between(row: Sequence[int], at: int, size: Mapping[int, float]) -> float:
    """How far the middles of number `at` of a row and the one before it are apart at least."""
    left, right = size[row[at - 1]], size[row[at]]
    return (left + right) / 2 + (GAP if left and right else _DUMMY_GAP + (GAP - _DUMMY_GAP) / 2 * bool(left or right))


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The sequence that never falls and is nearest to `values` (by squares, with `weights`): adjacent violators are
    pooled."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, heavy, count), (other, light, more) = pools[-2:]
            pools[-2:] = [((one * heavy + other * light) / (heavy + light), heavy + light, count + more)]
    return [value for value, _, count in pools for _ in range(count)]

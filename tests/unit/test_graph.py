# SPDX-License-Identifier: GPL-2.0-only
"""The graph of modules: who owns a symbol, what follows from what, and where boxes are drawn."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from kbuildpy.graph.boxes import boxes_of
from kbuildpy.graph.gather import graph_of
from kbuildpy.graph.layers import GAP, lay_out
from kbuildpy.graph.module_graph import ModuleGraph
from kbuildpy.graph.page import as_page
from kbuildpy.graph.picture import as_picture, drawn_edges
from kbuildpy.graph.read_module import LinkedModule
from tests.support.standalone_pages import Page, check_stands_alone, pictures_in, texts_of, titles_of


def linked(name: str, *imports: str, exports: str = "", **more: tuple[str, ...]) -> LinkedModule:
    empty: dict[str, tuple[str, ...]] = {"weak": (), "stated": (), "before": (), "after": ()}
    return LinkedModule(name, f"/{name}.ko", "6.1", frozenset(exports.split()), imports, **{**empty, **more})


def edges(graph: ModuleGraph) -> set[tuple[str, str, str]]:
    return {(edge.user, edge.needed, edge.kind) for edge in graph.edges}


def test_a_symbol_is_of_the_module_that_the_user_states_else_of_the_first() -> None:
    both = [linked("one", exports="f"), linked("two", exports="f")]
    graph = graph_of([*both, linked("a", "f", stated=("two",)), linked("b", "f")], None)
    assert edges(graph) == {("a", "two", "symbols"), ("b", "one", "symbols")}


def test_what_a_module_states_counts_where_the_symbols_are_not_known() -> None:
    graph = graph_of([linked("a", "f", stated=("usbcore",)), linked("b", before=("a-x", "a"), after=("c",))], None)
    assert edges(graph) == {
        ("a", "usbcore", "depends"),
        ("b", "a_x", "before"),
        ("b", "a", "before"),
        ("b", "c", "after"),
    }
    assert {node.name: node.kind for node in graph.nodes if node.file is None} == dict.fromkeys(
        ("usbcore", "a_x", "c"), "own"
    )


def test_circles_and_edges_that_follow_from_others_are_marked() -> None:
    graph = graph_of(
        [linked("a", "b1", "c1", exports="a1"), linked("b", "c1", exports="b1"), linked("c", exports="c1")], None
    )
    assert [(edge.user, edge.needed) for edge in graph.edges if edge.implied] == [("a", "c")]
    assert not any(edge.in_circle for edge in graph.edges)
    round_ = graph_of([linked("a", "b1", exports="a1"), linked("b", "a1", exports="b1")], None)
    assert all(edge.in_circle and not edge.implied for edge in round_.edges)
    [picture] = pictures_in(as_picture(round_))
    assert sum("in a circle: neither can be loaded" in title for title in titles_of(picture)) == 2


@pytest.mark.parametrize("seed", range(6))
def test_an_edge_follows_from_others_if_there_is_a_way_without_it(seed: int) -> None:
    chance = Random(seed)
    chain = [
        linked(f"m{number}", *{f"s{chance.randrange(number)}" for _ in range(3) if number}, exports=f"s{number}")
        for number in range(25)
    ]
    graph = graph_of(chain, None)
    for edge in graph.edges:
        others = [(other.user, other.needed) for other in graph.edges if other is not edge]
        reached, before = {edge.user}, 0
        while len(reached) > before:
            before = len(reached)
            reached |= {needed for user, needed in others if user in reached}
        assert edge.implied == (edge.needed in reached)
    assert {edge.implied for edge in graph.edges} == {True, False}


@pytest.mark.parametrize("seed", range(12))
def test_boxes_do_not_overlap_and_stand_above_what_they_need(seed: int) -> None:
    chance = Random(seed)
    count = chance.randrange(2, 90)
    widths = [chance.uniform(30, 240) for _ in range(count)]
    # (edges lead to smaller numbers, so there is no circle)
    found = [(upper, chance.randrange(upper)) for upper in range(1, count) for _ in range(chance.randrange(4))]
    drawing = lay_out(widths, found, most=900)
    layer_of = {number: layer for layer, row in enumerate(drawing.layers) for number in row}
    assert {*range(count)} <= layer_of.keys()
    for upper, lower in found:
        assert layer_of[upper] > layer_of[lower]
        bends = drawing.bends[upper, lower]
        assert [layer_of[bend] for bend in bends] == [*range(layer_of[upper] - 1, layer_of[lower], -1)]
    for row in drawing.layers:
        boxes = [number for number in row if number < count]
        assert sum(widths[number] for number in boxes) <= 900 or len(boxes) == 1
        for left, right in pairwise(boxes):
            apart = drawing.centers[right] - drawing.centers[left] - (widths[left] + widths[right]) / 2
            assert apart >= GAP / 2 - 1e-6
        assert all(drawing.centers[number] - widths[number] / 2 >= -1e-6 for number in boxes)
        assert all(drawing.centers[number] + widths[number] / 2 <= drawing.width + 1e-6 for number in boxes)


def test_modules_that_need_the_same_share_a_box() -> None:
    users = [linked(f"user_{number:03}", "core1") for number in range(300)]
    graph = graph_of([linked("core", exports="core1"), *users], None)
    boxes, box_edges = boxes_of(graph, drawn_edges(graph, every=False))
    assert sorted(len(box.names) for box in boxes) == [1, 300]
    assert len(box_edges) == 1 and len(box_edges[0].edges) == 300
    [picture] = pictures_in(as_picture(graph))
    assert {node.name for node in graph.nodes} <= {*texts_of(picture)}
    assert float(picture.get("width", "0")) < 1500


def test_a_large_graph_leaves_out_what_follows_unless_every_edge_is_wanted() -> None:
    chain = [
        linked(f"m{number}", *(f"s{lower}" for lower in range(number)), exports=f"s{number}") for number in range(42)
    ]
    graph = graph_of(chain, None)
    assert len(graph.edges) == 42 * 41 // 2
    for every, count in ((False, 41), (True, len(graph.edges))):
        text = as_picture(graph, every=every)
        [picture] = pictures_in(text)
        assert len(titles_of(picture)) == count + 42
        assert (f"{len(graph.edges) - 41} more edges follow from these" in text) == (not every)


def test_names_that_a_browser_would_obey_are_escaped() -> None:
    evil = '</title><script>x</script>"&\x1b\u2713'
    graph = graph_of([linked(evil, evil), linked("b", exports=evil)], None)
    for text in (as_picture(graph), as_page(graph)):
        check_stands_alone(text)
        pictures_in(text)
        assert "<script>x" not in text and "\x1b" not in text and text.isascii()
    Page(as_page(graph))


def test_modules_without_any_edge_are_drawn_too() -> None:
    graph = graph_of([linked("alone")], None)
    [picture] = pictures_in(as_picture(graph))
    assert (
        "alone" in texts_of(picture)
        and picture.findtext("{http://www.w3.org/2000/svg}desc") == "No module needs another one."
    )

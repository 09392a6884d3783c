# SPDX-License-Identifier: GPL-2.0-only
"""TAP and KTAP as `kbuildpy run` reads them. tests/parity/test_tap.py asks the kernel's own parser."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbuildpy.vm.tap import Point, Tap, read_tap


def read(text: str) -> Tap:
    found = read_tap(text.split("\n"))
    assert found is not None
    return found


def results(points: tuple[Point, ...]) -> list[object]:
    return [(point.name, results(point.points)) if point.points else (point.name, point.result) for point in points]


@pytest.mark.parametrize(
    "text", ["", "hello\nworld", "ok then\n", "not ok, he said", "1..3", "ok 1 a\nok 2 b", "# 1..2"]
)
def test_what_is_no_tap_is_left_alone(text: str) -> None:
    assert read_tap(text.split("\n")) is None


@pytest.mark.parametrize("header", ["TAP version 13\n", "TAP version 14\n", "KTAP version 1\n", ""])
def test_points_and_their_plan(header: str) -> None:
    tap = read(
        f"{header}1..5\nok 1 - one\nnot ok 2 two # TODO later\nok 3 # SKIP: no\nok 4 four # xfail as known\nnot ok 5\n"
    )
    assert results(tap.points) == [("one", "ok"), ("two", "todo"), ("", "skip"), ("four", "todo"), ("", "not ok")]
    assert [point.reason for point in tap.points] == ["", "later", "no", "as known", ""]
    assert [point.failed for point in tap.points] == [False, False, False, False, True]
    assert tap.problems == ()


def test_the_plan_may_come_last() -> None:
    assert read("KTAP version 1\nok 1 a\n1..1").problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("KTAP version 1\n1..2\nok 1 a", "it announced 2 points, and 1 came"),
        ("KTAP version 1\n1..0\nok 1 a", "it announced 0 points, and 1 came"),
        ("KTAP version 1\nok 1 a", "it announced no number of points (1..N): it may have ended early"),
        ("1..2\nok 1 a\nok 3 b", "point 2 has the number 3"),
        ("1..1\nok 1 a\nBail out! no power", "it bailed out: no power"),
        ("KTAP version 1\n1..1\n  # Subtest: x\n  1..2\n  ok 1 a\nok 1 x", "x: it announced 2 points, and 1 came"),
        ("KTAP version 1\n1..1\n  # Subtest: x\n  1..1\n  ok 1 a", "x did not come to its end"),
        ("KTAP version 1\n  # Subtest: x\n  1..1\n  ok 1 a\n1..1\nok 1 b", "x did not come to its end"),
    ],
)
def test_what_is_wrong_beside_points(text: str, problem: str) -> None:
    assert problem in read(text).problems


def test_points_consist_of_points() -> None:
    tap = read(
        "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: outer\n    1..2\n        KTAP version 1\n"
        "        # Subtest: inner\n        ok 1 a\n        not ok 2 b\n        # rest\n    # inner: 1 of 2\n"
        "    not ok 1 inner\n"
        "    ok 2 plain\nnot ok 1 outer\nok 2 last\n"
    )
    assert results(tap.points) == [
        ("outer", [("inner", [("a", "ok"), ("b", "not ok")]), ("plain", "ok")]),
        ("last", "ok"),
    ]
    assert tap.points[0].points[0].diagnostics == ("inner: 1 of 2", "rest")
    assert [leaf.name for point in tap.points for leaf in point.leaves()] == ["a", "b", "plain", "last"]


def test_a_part_that_failed_fails_the_whole() -> None:
    (point,) = read("KTAP version 1\n1..1\n  1..1\n  not ok 1 a\nok 1 x").points
    assert point.result == "ok" and point.failed


def test_remarks_belong_to_the_point_that_follows() -> None:
    tap = read("1..2\n# first\nwhat the kernel says\n# second\nnot ok 1 a\nok 2 b\n# late")
    assert [point.diagnostics for point in tap.points] == [("first", "second"), ()]


def test_a_remark_of_kunit_goes_on_in_lines_of_its_own() -> None:
    tap = read(
        "KTAP version 1\n1..1\n    # Subtest: x\n    1..1\n    # a: EXPECTATION FAILED at x.c:7\n"
        "    Expected 2 == 3, but\n        2 == 2\nwhat the kernel says\n    not what was said\n"
        "    not ok 1 a\nnot ok 1 x"
    )
    (case,) = tap.points[0].points
    assert case.diagnostics == ("a: EXPECTATION FAILED at x.c:7", "Expected 2 == 3, but", "    2 == 2")


def test_nothing_to_test_is_skipped() -> None:
    assert read("1..0 # SKIP no device").skipped == "no device"
    assert read("KTAP version 1\n1..0").skipped == "there is nothing to test"


def test_a_number_of_any_length_can_be_read() -> None:
    digits = "9" * 5000
    tap = read(f"TAP version 13\n1..{digits}\nok {digits}\nok 1\n1..2")
    assert [(point.number, point.name) for point in tap.points] == [(0, digits), (1, "")]


@pytest.mark.parametrize("indents", [range(1100, 0, -1), range(1, 1101)])
def test_points_that_are_nested_too_deep_are_taken_out_of_each_other(indents: range) -> None:
    tap = read("\n".join(["KTAP version 1", *(f"{' ' * indent}not ok 1 a" for indent in indents)]))
    assert sum(leaf.name == "a" for point in tap.points for leaf in point.leaves()) > 1000
    assert all(json.dumps(point.to_json()) for point in tap.points)
    assert all(point.failed for point in tap.points if point.points)


def test_points_that_are_nested_as_deep_as_can_be_stay_nested() -> None:
    tap = read("KTAP version 1\n" + "\n".join(f"{' ' * indent}ok 1 a" for indent in range(49, -1, -1)) + "\n1..1")
    depth, points = 0, tap.points
    while points:
        (point,), depth = points, depth + 1
        points = point.points
    assert (depth, tap.problems) == (50, ())


def test_a_line_of_spaces_is_read_in_little_time() -> None:
    began = process_time()
    tap = read(f"KTAP version 1\n1..1\n # Subtest: a{' ' * 30_000}b\n ok 1\nok 1")
    assert process_time() - began < 2
    assert tap.problems == ()


@given(st.text(alphabet="KTAPversion 1.2#okntSubsSIP:-\n", max_size=200))
def test_anything_can_be_read(text: str) -> None:
    read_tap(text.split("\n"))

# SPDX-License-Identifier: GPL-2.0-only
"""The files of a trace: Chrome's format, picture and page say the same, and stand alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.timeline.build_trace import FAILED, MADE, BuildTrace, TracedStep, way_to_the_end
from kbuildpy.timeline.chrome import as_chrome
from kbuildpy.timeline.page import as_page
from kbuildpy.timeline.picture import as_picture
from kbuildpy.timeline.write import check_files, write_files
from tests.support.standalone_pages import Page, check_stands_alone, pictures_in, titles_of

EVIL = 'CC [M] <script>x</script>"&\x1b.o'
STEPS = (
    TracedStep("CC [M] a.o", "build/a.o", 1, 0.5, 0.5, 1.5, None, "a.c changed", MADE),
    TracedStep(EVIL, "build/\udcff.o", 2, 0.5, 0.75, 1.0, None, "", MADE),
    TracedStep("LD [M] ab.o", "build/ab.o", 2, 1.5, 1.625, 2.0, 0, "b.o is made again", MADE),
    TracedStep("CC [M] c.o", "build/c.o", 1, 0.5, 1.5, 1.75, None, "", FAILED),
)
TRACE = BuildTrace(1.0, 0.5, 2.25, 2, STEPS)


def test_chrome_gets_an_event_for_each_step_and_an_arrow_for_each_wait() -> None:
    told = json.loads(as_chrome(TRACE))
    events = told["traceEvents"]
    steps = [event for event in events if event["ph"] == "X" and event["cat"] == "step"]
    assert [(event["name"], event["tid"], event["ts"], event["dur"]) for event in steps] == [
        ("CC [M] a.o", 1, 500_000, 1_000_000),
        (EVIL, 2, 750_000, 250_000),
        ("LD [M] ab.o", 2, 1_625_000, 375_000),
        ("CC [M] c.o", 1, 1_500_000, 250_000),
    ]
    assert steps[2]["args"] == {
        "target": "build/ab.o",
        "why": "b.o is made again",
        "outcome": "made",
        "waited_for": "CC [M] a.o",
        "waited_for_target": "build/a.o",
        "queued_ms": 125.0,
    }
    [left], [reached] = ([event for event in events if event["ph"] == phase] for phase in "sf")
    assert left["id"] == reached["id"] and (left["tid"], reached["tid"]) == (1, 2)
    assert steps[0]["ts"] <= left["ts"] < steps[0]["ts"] + steps[0]["dur"] and reached["ts"] == steps[2]["ts"]
    assert {event["args"]["name"] for event in events if event["name"] == "thread_name"} == {
        "declarations",
        "job 1",
        "job 2",
    }


def test_the_way_to_the_end_is_who_waited_for_whom() -> None:
    assert [step.name for step in way_to_the_end(TRACE)] == ["CC [M] a.o", "LD [M] ab.o"]
    assert way_to_the_end(BuildTrace(0.0, 0.0, 0.0, 1, ())) == []


def test_the_picture_and_the_page_have_each_step() -> None:
    page = as_page(TRACE)
    for text in (as_picture(TRACE), page):
        check_stands_alone(text)
        [picture] = pictures_in(text)
        assert "<script>x" not in text and "\x1b" not in text
        titles = titles_of(picture)
        for step in STEPS:
            name = step.name.replace("\x1b", "\\x1b")
            assert any(
                title.startswith(f"{name}: {step.seconds:.3f} s, from {step.began:.3f} s on") for title in titles
            )
    rows = Page(page).rows()
    assert ["LD [M] ab.o", "2", "1.625", "0.375", "0.125", "CC [M] a.o", "b.o is made again", "made"] in rows
    assert len(rows) == 2 + 2 + len(STEPS)


def test_a_build_without_steps_has_files_too(tmp_path: Path) -> None:
    files = [tmp_path / f"a{suffix}" for suffix in (".json", ".html", ".svg")]
    write_files(BuildTrace(0.0, 0.25, 0.25, 2, ()), files)
    assert [event["ph"] for event in json.loads(files[0].read_text())["traceEvents"]] == ["M", "M", "X"]
    for file in files[1:]:
        pictures_in(file.read_text())


def test_files_that_cannot_be_written_are_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for name, said in (
        ("a.txt", "ends in"),
        ("hello.c", "ends in"),
        ("gone/a.json", "no such"),
        ("folder.json", "file"),
    ):
        with pytest.raises(UsageError, match=said):
            check_files([tmp_path / name])

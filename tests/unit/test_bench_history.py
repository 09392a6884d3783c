# SPDX-License-Identifier: GPL-2.0-only
"""The history of `./run bench`, and its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import main
from tests.bench_page import as_page
from tests.bench_rows import BenchReport, add_to_history, read_history, this_run
from tests.support.standalone_pages import Page, check_stands_alone, pictures_in, titles_of


def report() -> BenchReport:
    found = BenchReport()
    found.ratio("clean: <hello>", [2.0, 1.0, 3.0], [1.0, 0.5, 9.0], 0.4)
    found.seconds("check 3 modules", 0.25, 0.5)
    found.memory("peak memory", 150.4, 200)
    found.ratio("without a limit", [1.0], [3.0], None)
    return found


def test_rows_are_printed_as_medians_with_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    found = report()
    assert found.missed == 1
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "clean: <hello> 3 2.000 1.000 0.50 0.40 above the limit",
        "check 3 modules 0.2500 s, limit 0.50 s",
        "peak memory: 150 MiB (limit 200)",
        "without a limit 1 1.000 3.000 3.00",
    ]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    assert read_history(file) == []
    runs = [this_run("6.1", report().rows), this_run("6.12", report().rows[:1])]
    for run in runs:
        add_to_history(file, run)
    assert read_history(file) == runs and len(file.read_text().splitlines()) == 2
    with file.open("a") as more:
        more.write('{"began": 1}\n')
    with pytest.raises(SystemExit, match=r"history\.jsonl:3: not a run"):
        read_history(file)


def test_the_page_has_a_curve_for_each_row_with_the_value_of_each_run() -> None:
    first = this_run("6.1", report().rows)
    second = replace(first, began="2030-01-02T03:04:05+00:00", rows=first.rows[1:])
    text = as_page([first, second])
    check_stands_alone(text)
    pictures = pictures_in(text)
    assert len(pictures) == 4
    for picture, row in zip(pictures, first.rows, strict=True):
        shown = f"{row.value:.2f}" if row.unit == "ratio" else f"{row.value:.4g} {row.unit}"
        titles = titles_of(picture)
        assert len(titles) == (1 if row is first.rows[0] else 2)
        for title in titles:
            assert title.endswith(f": {shown}" + (f", limit {row.limit:g}" if row.limit else ""))
    rows = Page(text).rows()
    assert ["check 3 modules", "1", "", "", "0.25 s", "0.5", "✓"] in rows
    assert [row[1:] for row in rows[-2:]] == [[each, "0.25 s", "150.4 MiB", "3.00"] for each in ("", "0.50")]
    assert "✗ above the limit" in {
        row[-1] for row in Page(as_page([first])).rows()
    } and "Nothing has been measured" in as_page([])


def test_the_page_is_written_without_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history, page = tmp_path / "history.jsonl", tmp_path / "page.html"
    add_to_history(history, this_run("6.1", report().rows))
    assert main(["--only-page", "--history", str(history), "--html", str(page)]) == 0
    assert "clean: &lt;hello&gt;" in page.read_text()
    for words in (["--only-page"], ["--html", str(tmp_path / "gone/page.html")]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2

# SPDX-License-Identifier: GPL-2.0-only
"""Matrices of modules and kernels: cells, their results, what is shown of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.fleet.cell import Cell, read_cell
from kbuildpy.fleet.executor import HOST, Attempt, EndedAttempt
from kbuildpy.fleet.matrix import RESULTS, run_matrix
from kbuildpy.fleet.overview import overview_of, row_names
from kbuildpy.fleet.page import as_page
from kbuildpy.fleet.plan import plan_cells, shard, steps_of
from kbuildpy.fleet.record import Done, Record, read_line
from kbuildpy.fleet.results import CellResult, add_results, read_results
from kbuildpy.fleet.table import as_table
from kbuildpy.fleet.work import RECORDS
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.open_tree import open_tree
from tests.support.fake_trees import fake_tree


def cell(number: int, release: str = "6.1.0") -> Cell:
    return Cell(f"key{number}", f"/kernels/{number}", release, ["/src/m"], ["build", "check"])


def record(kernel: str, module: str, status: str = "passed", *, step: str = "check", reason: str = "") -> Record:
    return Record(f"cell of {kernel}", kernel, "/src/m", module, step, status, reason)


class Worker:
    """An executor that carries out cells at once; those whose number of losses is left are lost."""

    def __init__(self, losses: dict[str, int] | None = None) -> None:
        self.losses = dict(losses or {})
        self.asked: list[list[str]] = []

    def __call__(self, attempts: Sequence[Attempt]) -> Iterator[EndedAttempt]:
        self.asked.append([attempt.cell.key for attempt in attempts])
        for attempt in attempts:
            key = attempt.cell.key
            if self.losses.get(key, 0):
                self.losses[key] -= 1
                yield EndedAttempt(attempt, "was ended by SIGKILL", 1.0)
                continue
            assert read_cell(attempt.file) == attempt.cell
            attempt.place.mkdir()
            found = Record(key, attempt.cell.release, "/src/m", "m", "check", "passed")
            (attempt.place / RECORDS).write_text(f"{found.line()}\n")
            (attempt.place / HOST).write_text("here")
            yield EndedAttempt(attempt, "", 2.0)


# --- The call.


def test_steps_are_done_in_their_order_whatever_the_call_says() -> None:
    assert steps_of("run, build,check") == ("build", "check", "run")


@pytest.mark.parametrize("words", ["", "build,", "build,flash"])
def test_a_word_that_is_no_step_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="is no step"):
        steps_of(words)


def test_each_cell_is_in_one_shard() -> None:
    cells = [cell(number) for number in range(10)]
    parts = [shard(cells, f"{part}/3") for part in (1, 2, 3)]
    assert sorted(item.key for part in parts for item in part) == sorted(item.key for item in cells)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("word", ["0/2", "3/2", "1", "a/b", "1/", "-1/2", "1/2/3"])
def test_a_word_that_is_no_shard_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="not a part"):
        shard([], word)


# --- Results.


def test_trees_of_one_release_have_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "drv").mkdir()
    (tmp_path / "drv/Kbuild").write_text("obj-m := drv.o\n")
    trees = [open_tree(fake_tree(tmp_path / name, "6.12.9-mine")) for name in ("plain", "kasan")]
    kernels = [ChosenKernel(tree.release, tree, None, "") for tree in trees]
    cells = plan_cells([tmp_path / "drv"], kernels, ["build"], variables={}, options={})
    assert [cell.kernel for cell in cells] == [str(tree.objects) for tree in trees]
    assert cells[0].release == "6.12.9-mine" and cells[1].release.startswith("6.12.9-mine@kasan-")
    assert cells[0].key != cells[1].key


def test_cells_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    cells = [cell(number) for number in range(3)]
    first, second = Worker(), Worker()
    results = list(run_matrix(cells[:2], tmp_path, first))
    assert [result.done for result in results] == [
        Done("key0", "6.1.0", 2.0, 1, "here", 1),
        Done("key1", "6.1.0", 2.0, 1, "here", 1),
    ]
    again = {result.done.done: result for result in run_matrix(cells, tmp_path, second)}
    assert second.asked == [["key2"]] and again.keys() == {"key0", "key1", "key2"}
    assert again["key0"] == results[0]
    # Also by another matrix's results.
    third = Worker()
    merged = list(run_matrix(cells, tmp_path / "other", third, others=[tmp_path]))
    assert third.asked == [] and len(merged) == 3


def test_a_cell_whose_process_is_lost_is_begun_again_and_a_poisoned_one_is_told(tmp_path: Path) -> None:
    worker = Worker({"key0": 1, "key1": 99})
    results = {result.done.done: result for result in run_matrix([cell(0), cell(1), cell(2)], tmp_path, worker)}
    assert worker.asked == [["key0", "key1", "key2"], ["key0", "key1"], ["key1"]]
    assert [results[key].done.attempts for key in ("key0", "key1", "key2")] == [2, 3, 1]
    [poisoned] = results["key1"].records
    assert (poisoned.status, poisoned.module) == ("failed", "")
    assert poisoned.reason == "the process that worked on it was ended by SIGKILL, 3 times"
    # (it is a result: it would kill the next worker as well)
    assert list(run_matrix([cell(1)], tmp_path, Worker())) == [results["key1"]]


def test_a_cell_that_was_made_but_not_collected_is_taken_as_it_is(tmp_path: Path) -> None:
    list(run_matrix([cell(0)], tmp_path, Worker()))
    (tmp_path / RESULTS).unlink()
    worker = Worker()
    [result] = run_matrix([cell(0)], tmp_path, worker)
    assert worker.asked == [] and [item.module for item in result.records] == ["m"]
    assert read_results([tmp_path / RESULTS]).keys() == {"key0"}


def test_what_a_lost_attempt_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "cells/key0.host.1"
    left.mkdir(parents=True)
    (left / RECORDS).write_text("half")
    list(run_matrix([cell(0)], tmp_path, Worker()))
    assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == ["key0"]


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_results_that_are_cut_anywhere_lose_whole_cells_only(cut: int, tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    for number in (0, 1):
        found = [Record(f"key{number}", "6.1.0", "/src/m", name, "check", "passed") for name in ("a", "b")]
        add_results(path, CellResult(found, Done(f"key{number}", "6.1.0", 1.0, records=2)))
    whole = read_results([path])
    path.write_bytes(path.read_bytes()[: -1 - cut])
    kept = read_results([path])
    assert all(kept[key] == whole[key] for key in kept) and ("key0" in kept)
    # (and what is added then stands on lines of its own)
    add_results(path, whole["key1"])
    assert read_results([path]) == whole


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"cell": 1}', '{"done": "x", "colour": 1}', "null", "3"])
def test_a_line_that_is_no_result_is_none(line: str) -> None:
    assert read_line(line) is None


# --- What is shown.


def test_a_failure_of_an_input_is_one_of_all_its_modules() -> None:
    records = [
        record("6.1", "a"),
        record("6.1", "b"),
        record("6.12", "", "failed", step="build", reason="no such header"),
    ]
    overview = overview_of(records, ["6.1", "6.12"])
    assert overview.rows == [("/src/m", "a"), ("/src/m", "b")]
    assert {square.status for (_, kernel), square in overview.squares.items() if kernel == "6.12"} == {"failed"}
    alone = overview_of(records[2:], ["6.12"])
    assert alone.rows == [("/src/m", "")] and row_names(alone) == {("/src/m", ""): "m"}


def test_modules_of_one_name_are_told_apart() -> None:
    records = [record("6.1", "a"), record("6.1", "a")._replace(input="/src/other")]
    assert sorted(row_names(overview_of(records, ["6.1"])).values()) == ["a (m)", "a (other)"]


def test_the_table_names_the_step_that_failed_and_each_reason_once() -> None:
    kernels = [f"6.1.{number}" for number in range(3)]
    records = [record(kernel, "good") for kernel in kernels]
    records += [record(kernel, "bad", "failed", reason="no symbol \x1b[31mx") for kernel in kernels[:2]]
    lines = list(as_table(overview_of(records, kernels)))
    assert lines[0].split() == ["module", *kernels]
    assert lines[1].split() == ["bad", "check!", "check!", "-"]
    assert lines[2].split() == ["good", "passed", "passed", "passed"]
    assert lines[3:] == ["bad (2 kernels, 6.1.0 the first): check: no symbol \\x1b[31mx"]


def test_many_kernels_are_counted() -> None:
    kernels = [f"6.1.0-{number}-amd64" for number in range(50)]
    records = [record(kernel, "a", "failed" if number < 3 else "passed") for number, kernel in enumerate(kernels)]
    assert next(as_table(overview_of(records, kernels))).split() == ["a", "47", "of", "50", "kernels"]


def test_the_page_has_all_in_it_and_nothing_that_a_module_says_can_end_its_script() -> None:
    evil = '</script><script>alert(1)</script><!-- & "quoted"'
    page = as_page(overview_of([record("6.1", evil, "failed", reason=evil)], ["6.1"]), "1 < 2")
    assert page.count("<script") == 1 and page.count("</script") == 1
    assert "<title>1 &lt; 2</title>" in page
    found = re.search(r"^const data = (.*);$", page, re.MULTILINE)
    assert found
    data = json.loads(found[1])
    assert data["rows"] == [[evil, "/src/m"]] and data["squares"] == [[["f", [0]]]]
    assert data["texts"] == [["check", "failed", evil, ""]]
    # (no reference to anything else)
    assert not re.search(r"""(src|href|url|@import|fetch)\s*[=(]""", page)

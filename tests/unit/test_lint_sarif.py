# SPDX-License-Identifier: GPL-2.0-only
"""Findings as SARIF, such a file as a baseline, and what makes a finding the same in a later run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.lint.finding import Finding, FindingNote
from kbuildpy.lint.gather import GatheredRun, gather
from kbuildpy.lint.run_checkers import CheckOutcome
from kbuildpy.lint.sarif import CheckerReport, as_sarif, read_baseline
from kbuildpy.lint.source_lines import SourceLines

TEXT = "int x;\nint f(int n)\n{\n\treturn\tn;\n\treturn n;\n}\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a file.c"
    path.write_text(TEXT)
    return path


def finding(source: Path, line: int = 4, column: int = 9, **changes: Any) -> Finding:
    found = Finding("sparse", str(source), line, column, "warning", "odd (see line 3)", "", tab_width=8)
    return replace(found, **changes)


def gathered(source: Path, findings: Sequence[Finding], baseline: frozenset[str] = frozenset()) -> GatheredRun:
    outcomes = [CheckOutcome("sparse", tuple(findings))]
    [found] = gather(
        outcomes,
        is_own=lambda path: path == str(source),
        kernel_headers=False,
        baseline=baseline,
        shown=lambda path: Path(path).name,
    )
    return found


def log(source: Path, *reports: CheckerReport) -> dict[str, Any]:
    top = str(source.parent)
    text = as_sarif(reports, top=top, shown=lambda path: path.removeprefix(f"{top}/"))
    found: dict[str, Any] = json.loads(text)
    return found


def report(source: Path, *findings: Finding) -> CheckerReport:
    return CheckerReport("sparse", "6.1", [*gathered(source, findings).findings])


def test_has_what_the_schema_requires_and_services_read(source: Path) -> None:
    found = log(source, report(source, finding(source)), CheckerReport("cc", "6.1", [], ["a.o: gcc failed"]))
    assert found["version"] == "2.1.0"
    first, second = found["runs"]
    [result] = first["results"]
    assert first["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "sparse"
    assert result["message"]["text"] == "odd (see line 3)"
    [location] = result["locations"]
    physical = location["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "a%20file.c", "uriBaseId": "TOP"}
    assert first["originalUriBaseIds"]["TOP"]["uri"] == f"{source.parent.as_uri()}/"
    # A tab of 8 columns is one character.
    assert physical["region"] == {"startLine": 4, "startColumn": 2}
    assert first["invocations"][0]["executionSuccessful"]
    assert not second["invocations"][0]["executionSuccessful"]
    assert second["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "a.o: gcc failed"
    assert len({run["automationDetails"]["id"] for run in found["runs"]}) == 2


def test_tells_the_way_to_a_finding_and_other_places(source: Path) -> None:
    notes = (
        FindingNote("/k/x.h", 3, 0, "(1) entry to 'f'"),
        FindingNote(str(source), 4, 9, "(2) here"),
        FindingNote(str(source), 1, 1, "declared here"),
    )
    [run] = log(source, report(source, finding(source, notes=notes, message="bad [CWE-476]", rule="-Wx")))["runs"]
    [result] = run["results"]
    [flow] = result["codeFlows"][0]["threadFlows"]
    steps = [step["location"]["physicalLocation"]["artifactLocation"]["uri"] for step in flow["locations"]]
    assert steps == ["file:///k/x.h", "a%20file.c"]
    assert [place["message"]["text"] for place in result["relatedLocations"]] == ["declared here"]
    assert run["tool"]["driver"]["rules"][0]["properties"]["tags"] == ["external/cwe/cwe-476"]


def test_a_text_that_is_not_utf_8_does_not_stop_it(source: Path) -> None:
    [run] = log(source, report(source, finding(source, message="\udcff\x1b[31m")))["runs"]
    assert run["results"][0]["message"]["text"] == "?\x1b[31m"


@pytest.mark.parametrize(("column", "tab_width", "character"), [(1, 8, 1), (9, 8, 2), (17, 8, 9), (2, 1, 2), (9, 1, 9)])
def test_finds_the_character_of_a_column(source: Path, column: int, tab_width: int, character: int) -> None:
    # "\treturn\tn;": the tab behind `return` goes from column 15 to 16.
    assert SourceLines().character(str(source), 4, column, tab_width) == character


def test_the_column_of_a_line_that_is_gone_stays(source: Path) -> None:
    assert SourceLines().character(str(source), 99, 7, 8) == 7
    assert SourceLines().character("/nowhere/a.c", 1, 7, 8) == 7


def test_a_line_of_a_device_a_pipe_or_a_large_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path / "large", tmp_path):
        assert SourceLines().text(str(path), 1) == ""


def test_a_baseline_knows_findings_whose_lines_moved_and_no_others(source: Path, tmp_path: Path) -> None:
    before = [finding(source), finding(source, 5)]
    file = tmp_path / "before.sarif"
    file.write_text(as_sarif([report(source, *before)], top="/", shown=str))
    known = read_baseline(file)
    source.write_text(f"/* one more line */\n{TEXT}")
    moved = [finding(source, 5, message="odd (see line 4)"), finding(source, 6)]
    found = gathered(source, moved, known)
    assert (found.findings, found.known) == ((), 2)
    for other in ({"message": "odder"}, {"checker": "cc"}, {"rule": "-Wx"}, {"line": 2}):
        assert gathered(source, [replace(moved[0], **other)], known).known == 0


def test_a_second_finding_of_a_kind_is_new(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "before.sarif"
    file.write_text(as_sarif([report(source, finding(source))], top="/", shown=str))
    both = [finding(source), finding(source, column=17)]
    found = gathered(source, both, read_baseline(file))
    assert (len(found.findings), found.known) == (1, 1)


def test_tells_each_finding_once_and_of_kernel_headers_only_errors(source: Path) -> None:
    header = finding(source, file="/k/x.h")
    error = finding(source, file="/k/x.h", level="error")
    other = finding(source, 5)
    found = gathered(source, [finding(source), header, error, finding(source), header, other])
    assert [each for each, _ in found.findings] == [finding(source), error, other]
    assert found.in_headers == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"runs": 1}',
        '{"runs": [[]]}',
        '{"runs": [{"results": [{}]}]}',
        '{"runs": [{"results": [{"partialFingerprints": {"kbuildpyFinding/v1": 1}}]}]}',
        "[" * 100_000,
        '{"runs": [{"results": {"a": 1}}]}',
    ],
)
def test_refuses_a_baseline_that_is_something_else(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.sarif"
    file.write_text(text)
    with pytest.raises(UsageError, match="not a SARIF file of kbuildpy lint"):
        read_baseline(file)


def test_refuses_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_baseline(tmp_path / "x.sarif")

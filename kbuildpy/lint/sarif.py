# SPDX-License-Identifier: GPL-2.0-only
"""Findings as SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0), and such a file as a baseline.

There is a run for each checker and kernel, with an identity of its own (`automationDetails`): code scanning services
take several runs of one file only if these differ. Columns are counted in characters there; GCC and sparse let a tab
count up to eight.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kbuildpy import __version__
from kbuildpy.errors import UsageError
from kbuildpy.files import read_limited
from kbuildpy.lint.finding import Finding, FindingNote
from kbuildpy.lint.source_lines import SourceLines
from kbuildpy.similar import similar_file

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_FINGERPRINT = "kbuildpyFinding/v1"
_CWE = re.compile(r"\[CWE-(\d+)\]")
_EVENT = re.compile(r"\(\d+\) ")
_LIMIT = 1 << 28
"""Bytes of the largest baseline that is read."""


@dataclass(frozen=True)
class CheckerReport:
    """What one checker found for one kernel."""

    checker: str
    """The checker."""
    kernel: str
    """The kernel's release."""
    findings: list[tuple[Finding, str]] = field(default_factory=list)
    """Each finding with its fingerprint."""
    failures: list[str] = field(default_factory=list)
    """What went wrong with the program itself."""


def as_sarif(reports: Sequence[CheckerReport], *, top: str, shown: Callable[[str], str]) -> str:
    """One log with a run for each report. `shown` turns a path into a relative one where the reader can resolve that;
    `top` is the folder that those are relative to."""
    lines = SourceLines()
    runs = [_run(report, shown, lines, top) for report in reports]
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints of the findings in a SARIF file that `as_sarif` made. Raises `UsageError` for any other file."""
    wrong = UsageError(f"{path}: not a SARIF file of kbuildpy lint", hint="kbuildpy lint --sarif FILE makes one")
    try:
        log = json.loads(read_limited(path, _LIMIT))
        found = [result for run in log["runs"] for result in run.get("results", [])]
        marks = [result["partialFingerprints"][_FINGERPRINT] for result in found]
    except OSError as error:
        hint = similar_file(path) or "kbuildpy lint --sarif FILE makes a baseline"
        raise UsageError(f"{path}: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise wrong from error
    if not all(isinstance(mark, str) for mark in marks):
        raise wrong
    return frozenset(marks)


def _run(report: CheckerReport, shown: Callable[[str], str], lines: SourceLines, top: str) -> dict[str, object]:
    rules: dict[str, set[str]] = {}
    for finding, _ in report.findings:
        rules.setdefault(_rule(finding), set()).update(_CWE.findall(finding.message))
    order = {rule: number for number, rule in enumerate(rules)}
    return {
        "tool": {
            "driver": {
                "name": report.checker,
                "informationUri": _MANUALS.get(report.checker, _MANUALS[""]),
                "rules": [_described(rule, report.checker, numbers) for rule, numbers in rules.items()],
                "properties": {"startedBy": f"kbuildpy {__version__}"},
            }
        },
        "automationDetails": {"id": f"kbuildpy-lint/{report.checker}/{report.kernel}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"TOP": {"uri": f"{Path(top).as_uri().rstrip('/')}/"}},
        "invocations": [
            {
                "executionSuccessful": not report.failures,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": _clean(failure)}} for failure in report.failures
                ],
            }
        ],
        "results": [
            _result(finding, mark, order[_rule(finding)], shown, lines, report.kernel)
            for finding, mark in report.findings
        ],
    }


_MANUALS = {
    "sparse": "https://docs.kernel.org/dev-tools/sparse.html",
    "smatch": "https://github.com/error27/smatch",
    "coccinelle": "https://docs.kernel.org/dev-tools/coccinelle.html",
    "checkpatch": "https://docs.kernel.org/dev-tools/checkpatch.html",
    "clang-tidy": "https://clang.llvm.org/extra/clang-tidy/",
    "clang-analyzer": "https://clang.llvm.org/docs/analyzer/checkers.html",
    "": "https://gcc.gnu.org/onlinedocs/gcc/Warning-Options.html",
}


def _rule(finding: Finding) -> str:
    return finding.rule or finding.checker


def _described(rule: str, checker: str, weaknesses: set[str]) -> dict[str, object]:
    tags = [f"external/cwe/cwe-{number}" for number in sorted(weaknesses, key=int)]
    text = {"text": f"{rule}, as {checker} calls it" if rule != checker else f"what {checker} finds"}
    described = {"id": rule, "shortDescription": text, "fullDescription": text, "help": text}
    return {**described, **({"properties": {"tags": tags}} if tags else {})}


def _result(
    finding: Finding, mark: str, rule: int, shown: Callable[[str], str], lines: SourceLines, kernel: str
) -> dict[str, Any]:
    text = "\n".join([finding.message, *(detail.strip() for detail in finding.details)])
    result: dict[str, Any] = {
        "ruleId": _rule(finding),
        "ruleIndex": rule,
        "level": finding.level,
        "message": {"text": _clean(text)},
        "locations": [_location(finding.file, finding.line, finding.column, finding.tab_width, shown, lines)],
        "partialFingerprints": {_FINGERPRINT: mark},
        "properties": {"kernel": kernel},
    }

    def note_location(note: FindingNote) -> dict[str, Any]:
        where = _location(note.file, note.line, note.column, finding.tab_width, shown, lines)
        return {**where, "message": {"text": _clean(note.text)}}

    steps = finding.notes if finding.rule.startswith("clang-analyzer-") else ()
    events = steps or [note for note in finding.notes if _EVENT.match(note.text)]
    others = [note for note in finding.notes if note not in events]
    if events:
        flow = [{"location": note_location(note)} for note in events]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    if others:
        result["relatedLocations"] = [{"id": number, **note_location(note)} for number, note in enumerate(others)]
    return result


def _location(
    file: str, line: int, column: int, tab_width: int, shown: Callable[[str], str], lines: SourceLines
) -> dict[str, Any]:
    name = shown(file)
    if name.startswith("/"):
        artifact: Mapping[str, object] = {"uri": Path(name).as_uri()}
    else:
        artifact = {"uri": quote(name.encode("utf-8", "surrogateescape")), "uriBaseId": "TOP"}
    physical: dict[str, object] = {"artifactLocation": artifact}
    if line:
        at = lines.character(file, line, column, tab_width) if column else 0
        physical["region"] = {"startLine": line, **({"startColumn": at} if at else {})}
    return {"physicalLocation": physical}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

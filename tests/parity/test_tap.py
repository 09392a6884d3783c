# SPDX-License-Identifier: GPL-2.0-only
"""TAP and KTAP: what `kbuildpy run` reads, against the kernel's own parser (tools/testing/kunit/kunit_parser.py)."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbuildpy.vm.tap import Point, read_tap
from tests.support.packages import REVIEWERS_FILES, source_files

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    folder = source_files("6.12", *REVIEWERS_FILES) / "tools/testing/kunit"
    sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module("kunit_parser")
        # (it prints what it reads)
        found.stdout = importlib.import_module("kunit_printer").Printer(io.StringIO())  # type: ignore[attr-defined]
        return found
    finally:
        sys.path.remove(str(folder))


def theirs(oracle: ModuleType, text: str) -> list[Any]:
    test = oracle.parse_run_tests(iter(text.split("\n")))
    names = {"SUCCESS": "ok", "FAILURE": "not ok", "SKIPPED": "skip", "TEST_CRASHED": "not ok", "NO_TESTS": "ok"}

    def tree(test: Any) -> list[Any]:
        return [(one.name, names.get(one.status.name, one.status.name), tree(one)) for one in test.subtests]

    return tree(test)


def ours(text: str) -> list[Any]:
    tap = read_tap(text.split("\n"))

    def tree(points: tuple[Point, ...]) -> list[Any]:
        return [(one.name, "not ok" if one.failed else one.result, tree(one.points)) for one in points]

    return tree(tap.points) if tap else []


Suite = tuple[str, str, list["Suite"]]

_names = st.text(alphabet="abcdefgh_XYZ0123456789", min_size=1, max_size=12)
_points: st.SearchStrategy[Any] = st.tuples(_names, st.sampled_from(["ok", "not ok", "skip"]), st.just([]))
_tests = st.recursive(
    _points,
    lambda inner: st.tuples(_names, st.just("suite"), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=12,
)


def numbered(tests: list[Any], before: str = "") -> list[Any]:
    """`tests` under names of which there is one each: the kernel's parser takes a name for the end of a suite."""
    return [
        (f"{name}.{before}{number}", result, numbered(parts, f"{before}{number}."))
        for number, (name, result, parts) in enumerate(tests)
    ]


def text_of(tests: list[Any], depth: int = 0) -> list[str]:
    """KTAP of `tests` as KUnit prints it, with a line of the kernel's and a remark here and there."""
    indent = "    " * depth
    lines = [f"{indent}1..{len(tests)}"]
    for number, (name, result, parts) in enumerate(tests, start=1):
        if parts:
            lines += [f"{indent}    KTAP version 1", f"{indent}    # Subtest: {name}", *text_of(parts, depth + 1)]
            failed = any(_failed(part) for part in parts)
            skipped = all(part[1] == "skip" for part in parts)
            result = "not ok" if failed else "skip" if skipped else "ok"
        elif result == "not ok":
            lines += [
                f"{indent}# {name}: EXPECTATION FAILED at some.c:{number}",
                "[ cut here ] something of the kernel's",
            ]
        word = "not ok" if result == "not ok" else "ok"
        lines.append(f"{indent}{word} {number} {name}{' # SKIP not here' if result == 'skip' else ''}")
    return lines


def _failed(test: Any) -> bool:
    return test[1] == "not ok" or any(map(_failed, test[2]))


@given(tests=st.lists(_tests, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_results_as_the_kernels_parser(oracle: ModuleType, tests: list[Any]) -> None:
    text = "\n".join(["KTAP version 1", *text_of(numbered(tests))])
    assert ours(text) == theirs(oracle, text)


def test_the_kernels_own_examples(oracle: ModuleType) -> None:
    """The logs that the kernel's parser is tested with, as far as they are a whole run's."""
    folder = Path(str(oracle.__file__)).parent / "test_data"
    compared = 0
    for file in sorted(folder.glob("*.log")):
        lines = file.read_text().split("\n")
        start = next(
            (number for number, line in enumerate(lines) if line.startswith(("TAP version", "KTAP version"))), -1
        )
        if start < 0 or "crash" in file.name or "missing" in file.name or "config" in file.name:
            continue
        text = "\n".join(lines[start:])
        assert flat(ours(text)) == flat(theirs(oracle, text)), file.name
        compared += 1
    assert compared >= 6


def flat(tests: list[Any]) -> list[tuple[str, str]]:
    """The leaves: some of the logs leave out what a suite as a whole came to."""
    return [leaf for name, result, parts in tests for leaf in (flat(parts) if parts else [(name, result)])]

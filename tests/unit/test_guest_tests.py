# SPDX-License-Identifier: GPL-2.0-only
"""What is made of the reports of a guest that ran tests, also of one that did not come to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.guest_tests import judge_tests, kunit_results
from kbuildpy.vm.judge import judge
from kbuildpy.vm.programs import read_command
from kbuildpy.vm.reports import read_boot
from kbuildpy.vm.result import TestResult
from kbuildpy.vm.trial import Trial

MARKER = "kbuildpy-0"
TESTS = [read_command([name]) for name in ("first", "second")]
LOADED = ["ready 6.1", "insmod 0", "errno 0", "tainted 0", "loaded"]
REMOVED = ["tested", "rmmod 0", "errno 0", "tainted 0", "done"]
WARNING = [
    "------------[ cut here ]------------",
    "WARNING: CPU: 0 PID: 1 at /src/a.c:7 f+0x1/0x2 [a]",
    "---[ end trace 0000000000000000 ]---",
]


def booted(*reports: str, hung: bool = False) -> BootReport:
    """A boot of the module `a` that reported this; what begins with > is the kernel's, as are the lines of a trace."""
    kernels = (">", *WARNING)
    lines = [line.removeprefix(">") if line.startswith(kernels) else f"{MARKER}: {line}" for line in reports]
    return read_boot(lines, MARKER, hung=hung)


def trials(tmp_path: Path) -> list[Trial]:
    return [Trial("a", tmp_path / "a.ko", ModuleImage(Path("/proc/self/exe").read_bytes(), "a.ko"))]


def judged(boot: BootReport, tmp_path: Path) -> list[TestResult]:
    return judge_tests(TESTS, trials(tmp_path), boot, limit=60)


def test_a_flood_fails_a_test(tmp_path: Path) -> None:
    boot = booted(*LOADED, "test 0", "out one", "flood", "ended 0 5.00 6.25", "test 1", "ended late 7 67", *REMOVED)
    assert [test.reason for test in judged(boot, tmp_path)] == [
        "stopped: it printed more than 20000 lines or 1 MiB",
        "it did not end within 60 s",
    ]


def test_a_test_ends_with_its_status_and_its_time(tmp_path: Path) -> None:
    boot = booted(*LOADED, "test 0", "out one", "ended 0 5.00 6.25", "test 1", "ended 3 7.00 7.10", *REMOVED)
    first, second = judged(boot, tmp_path)
    assert (first.passed, first.status, first.seconds, first.output) == (True, 0, 1.25, ("one",))
    assert (second.passed, second.status, second.reason) == (False, 3, "exit status 3")


@pytest.mark.parametrize(
    ("end", "hung", "reason"),
    [
        (">reboot: Power down", False, "it ended the guest (poweroff, reboot)"),
        (">reboot: Restarting system", False, "it ended the guest (poweroff, reboot)"),
        (">Kernel panic - not syncing: sysrq triggered crash", False, "the kernel died while it ran"),
        (">what the kernel said last", False, "the kernel died while it ran"),
        (">what the kernel said last", True, "the kernel hung while it ran"),
    ],
)
def test_who_does_not_see_the_end_has_no_result_yet(end: str, hung: bool, reason: str, tmp_path: Path) -> None:
    boot = booted(*LOADED, "test 0", "out one", end, hung=hung)
    (first,) = judged(boot, tmp_path)
    assert (first.passed, first.status, first.reason, first.output) == (False, None, reason, ("one",))
    # ... and no module is to blame, or had its removal.
    result = judge(trials(tmp_path), boot, limit=20)
    assert (dict(result.final), result.deadly) == ({}, "")


def test_without_the_modules_no_test_is_run(tmp_path: Path) -> None:
    refused = booted("ready 6.1", "insmod 0", "errno 19", "tainted 0", "loaded", "untested a", *REMOVED)
    assert [test.reason for test in judged(refused, tmp_path)] == ["not run: a was not loaded"] * 2
    died = booted("ready 6.1", "insmod 0", ">Kernel panic - not syncing: on purpose")
    assert [test.reason for test in judged(died, tmp_path)] == ["not run: a was not loaded"] * 2


def test_a_complaint_counts_for_the_test_in_which_it_came_and_for_the_module_that_it_names(tmp_path: Path) -> None:
    boot = booted(
        *LOADED, "test 0", *WARNING, "ended 0 1 2", "tainted 512", "test 1", "ended 0 2 3", "tainted 512", *REMOVED
    )
    first, second = judged(boot, tmp_path)
    assert first.reason.startswith("warning: the kernel warned: WARNING: ") and second.passed
    (complaint,) = judge(trials(tmp_path), boot, limit=20).final["a"].complaints
    assert complaint.kind == "warning"


def test_a_complaint_after_the_tests_is_none_of_theirs(tmp_path: Path) -> None:
    boot = booted(
        *LOADED,
        "test 0",
        "ended 0 1 2",
        "test 1",
        "ended 0 2 3",
        "tested",
        "linger",
        ">said at last",
    )
    assert all(test.passed for test in judged(boot, tmp_path))
    found = judge(trials(tmp_path), boot, limit=20)
    assert [complaint.words for complaint in found.final["a"].complaints] == ["the kernel died after its init function"]
    assert found.deadly == "a"


def test_a_taint_counts_for_the_test_in_which_it_came(tmp_path: Path) -> None:
    loaded = [line.replace("tainted 0", "tainted 12800") for line in LOADED]
    boot = booted(*loaded, "test 0", "ended 0 1 2", "tainted 12800", "test 1", "ended 0 2 3", "tainted 12928", *REMOVED)
    first, second = judged(boot, tmp_path)
    assert first.passed
    assert second.reason == "taint: it gave the kernel the taint flag D (oops or BUG)"


def test_pieces_of_a_line_are_one_and_a_character_may_be_in_two() -> None:
    pieces = ["a\u00e4".encode()[:2], "a\u00e4".encode()[2:] + b"z\xff"]
    decoded = [piece.decode(errors="surrogateescape") for piece in pieces]
    boot = booted("test 0", f"out+ {decoded[0]}", f"out {decoded[1]}", "out ", "out  last")
    assert boot.tests[0].output == ["a\u00e4z\ufffd", "", " last"]


SUITE = [
    "    KTAP version 1",
    "    # Subtest: sums",
    "    1..2",
    "    ok 1 adds",
    "    not ok 2 halves",
    "not ok 1 sums",
]


def test_suites_of_kunit_are_read_from_the_log_and_else_from_debugfs() -> None:
    logged = booted("ready 6.1", "insmod 0", *(f">{line}" for line in ("KTAP version 1", "1..1", *SUITE)), "errno 0")
    filed = booted(*LOADED, *(f"kunit sums {line}" for line in ("KTAP version 1", "1..1", *SUITE)))
    for boot in (logged, filed):
        (suite,) = kunit_results(boot)
        assert (suite.name, suite.kind, suite.passed) == ("sums", "kunit", False)
        assert suite.reason == "1 of 2 failed: halves"
        assert [(point.name, point.result) for point in suite.points] == [("adds", "ok"), ("halves", "not ok")]

# SPDX-License-Identifier: GPL-2.0-only
"""The results of the tests of a boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbuildpy.vm.boot_report import BootReport, ModuleSteps, TestSteps
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.left_behind import leak
from kbuildpy.vm.programs import GuestTest
from kbuildpy.vm.result import TestResult
from kbuildpy.vm.steps import complaints_in_test
from kbuildpy.vm.tap import Point, Tap, read_tap
from kbuildpy.vm.trial import Trial

_SKIPPED = 4
"""The exit status by which the kernel's own tests say that there is nothing to test (kselftest.h: KSFT_SKIP)."""
_NAMED = 3  # failed points that are named in a reason
_POWERED_OFF = ("reboot: Power down", "reboot: System halted", "reboot: Restarting system", "reboot: machine restart")


def judge_tests(
    tests: Sequence[GuestTest], trials: Sequence[Trial], boot: BootReport, *, limit: float
) -> list[TestResult]:
    """The results of `tests`, in order, as far as the guest ran them; of all tests if it did not run the first one.
    `trials` are the modules of the boot, `limit` the seconds that a test had."""
    if not boot.tests:
        return [_not_run(test, boot, trials) for test in tests]
    names = [trial.name for trial in trials]
    before = 0
    for steps in boot.modules.values():
        before |= (steps.load and steps.load.tainted) or 0
    results = []
    for number, test in enumerate(tests):
        if number not in boot.tests:
            break
        ran = boot.tests[number]
        results.append(_judge(test, ran, complaints_in_test(ran.step, before, names=names), boot, limit))
        before |= ran.step.tainted or 0
    return results


def with_remains(results: Sequence[TestResult], boot: BootReport, numbers: Sequence[int]) -> list[TestResult]:
    """`results` of tests, of which those with these `numbers` ran once more in `boot`: those fail with which something
    came that no module takes away. (With several modules, it is not known with which.)"""
    found = list(results)
    for place, steps in boot.tests.items():
        number = numbers[place]
        if steps.remains:
            complaint = leak(steps.remains)
            complaints = (*found[number].complaints, complaint)
            reason = found[number].reason if not found[number].passed else _complained([complaint])
            found[number] = replace(found[number], passed=False, skipped=False, reason=reason, complaints=complaints)
    return found


def kunit_results(boot: BootReport) -> list[TestResult]:
    """The results of the KUnit suites in the modules of a boot: from the log of their loading, else from debugfs."""
    found: dict[str, TestResult] = {}
    for steps in boot.modules.values():
        for point in _suites_in(steps):
            found[point.name] = _kunit_result(point)
    for suite, lines in boot.kunit.items():
        tap = read_tap(lines, needs_plan=False)
        for point in tap.points if tap else ():
            found.setdefault(suite, _kunit_result(replace(point, name=suite)))
    return list(found.values())


def _not_run(test: GuestTest, boot: BootReport, trials: Sequence[Trial]) -> TestResult:
    names = boot.untested.split()
    if not names:
        # (the kernel died when it was loaded)
        names = [
            trials[number].name for number, steps in boot.modules.items() if not (steps.load and steps.load.answered)
        ]
    why = (
        f"{' and '.join(names)} {'was' if len(names) == 1 else 'were'} not loaded"
        if names
        else "the guest died before the test"
    )
    return TestResult(test.name, test.kind, passed=False, reason=f"not run: {why}")


def _judge(
    test: GuestTest, steps: TestSteps, complaints: Sequence[Complaint], boot: BootReport, limit: float
) -> TestResult:
    tap = read_tap(steps.output)
    result = TestResult(
        name=test.name,
        kind=test.kind,
        passed=True,
        status=int(steps.status) if steps.status.isascii() and steps.status.isdigit() else None,
        seconds=steps.seconds,
        complaints=tuple(complaints),
        points=tap.points if tap else (),
        output=tuple(steps.output),
    )
    failed = _ended_badly(steps, boot, limit) or _complained(complaints)
    if failed:
        return replace(result, passed=False, reason=failed)
    failing = any(point.failed for point in result.points)
    if result.status == _SKIPPED and not failing:
        why = tap.skipped if tap and tap.skipped else (steps.output[-1] if steps.output else "exit status 4")
        return replace(result, skipped=True, reason=why)
    wrong = _wrong_points(tap) if tap else ""
    if result.status:
        wrong = f"{f'{wrong}; ' if wrong else ''}exit status {_status(result.status)}"
    if wrong:
        return replace(result, passed=False, reason=wrong)
    leaves = [leaf for point in result.points for leaf in point.leaves()]
    if tap and (tap.skipped or (leaves and all(leaf.result == "skip" for leaf in leaves))):
        return replace(result, skipped=True, reason=tap.skipped or leaves[0].reason or "all points were skipped")
    return result


def _ended_badly(steps: TestSteps, boot: BootReport, limit: float) -> str:
    if steps.flood:
        return "stopped: it printed more than 20000 lines or 1 MiB"
    if steps.status == "late":
        return f"it did not end within {limit:g} s"
    if steps.status:
        return ""
    if any(line.startswith(_POWERED_OFF) for line in steps.step.log):
        return "it ended the guest (poweroff, reboot)"
    return "the kernel hung while it ran" if boot.hung else "the kernel died while it ran"


def _complained(complaints: Sequence[Complaint]) -> str:
    return f"{complaints[0].kind}: {complaints[0].words}" if complaints else ""


def _wrong_points(tap: Tap) -> str:
    leaves = [leaf for point in tap.points for leaf in point.leaves()]
    failed = [leaf for leaf in leaves if leaf.failed]
    reasons = []
    if failed or any(point.failed for point in tap.points):
        named = ", ".join(leaf.name or str(leaf.number) for leaf in failed[:_NAMED])
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        reasons.append(f"{len(failed)} of {len(leaves)} failed: {named}{more}")
    return "; ".join([*reasons, *tap.problems])


def _status(status: int) -> str:
    # (as the guest's shell tells of a signal)
    return f"{status} (signal {status - 128})" if 128 < status < 128 + 65 else str(status)


def _suites_in(steps: ModuleSteps) -> list[Point]:
    """The suites whose results the kernel logged when a module was loaded."""
    log = steps.load.log if steps.load else []
    if not any("TAP version" in line or "# Subtest: " in line for line in log):
        return []
    tap = read_tap(["KTAP version 1", *log], needs_plan=False)
    return [point for point in tap.points if point.points] if tap else []


def _kunit_result(suite: Point) -> TestResult:
    leaves = list(suite.leaves())
    failed = [leaf for leaf in leaves if leaf.failed]
    skipped = bool(leaves) and all(leaf.result == "skip" for leaf in leaves)
    named = ", ".join(leaf.name for leaf in failed[:_NAMED])
    return TestResult(
        name=suite.name,
        kind="kunit",
        passed=not suite.failed,
        skipped=skipped and not suite.failed,
        reason=f"{len(failed)} of {len(leaves)} failed: {named}"
        if suite.failed
        else leaves[0].reason
        if skipped
        else "",
        points=suite.points,
    )

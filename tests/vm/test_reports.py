# SPDX-License-Identifier: GPL-2.0-only
"""The guest's reports are read out of a kernel log, also of a kernel that did not get to the end."""

from __future__ import annotations

from tests.support.loading import Attempt, ModuleReport, read_reports


def test_a_module_that_was_loaded_and_removed() -> None:
    log = [
        "Run /init as init process",
        "kbuildpy: insmod hello",
        "hello: hello, world",
        "kbuildpy: status 0 ",
        "kbuildpy: line hello 16384 0 - Live 0xffffffffc0000000 (OE)",
        "kbuildpy: taints OE",
        "kbuildpy: rmmod hello",
        "hello: goodbye, world",
        "kbuildpy: status 0 ",
        "kbuildpy: tainted 12288",
    ]
    report = ModuleReport(
        "hello",
        Attempt(0, "", ("hello: hello, world",)),
        line="hello 16384 0 - Live 0xffffffffc0000000 (OE)",
        taints="OE",
        rmmod=Attempt(0, "", ("hello: goodbye, world",)),
    )
    assert read_reports(log) == ((report,), 12288)


def test_a_module_that_was_refused_carries_errno_and_message() -> None:
    log = ["kbuildpy: insmod bad", "bad: version magic '1' should be '2'", "kbuildpy: status 8 insmod: can't insert"]
    attempt = Attempt(8, "insmod: can't insert", ("bad: version magic '1' should be '2'",))
    assert read_reports(log) == ((ModuleReport("bad", attempt),), None)


def test_a_kernel_that_died_in_a_module_leaves_its_last_lines() -> None:
    log = ["kbuildpy: insmod bad", "bad: here I go", "Kernel panic - not syncing: bad"]
    attempt = Attempt(None, "", ("bad: here I go", "Kernel panic - not syncing: bad"))
    assert read_reports(log) == ((ModuleReport("bad", attempt),), None)


def test_a_removal_belongs_to_the_attempt_that_loaded() -> None:
    log = [
        "kbuildpy: insmod twice",
        "kbuildpy: status 2 refused",
        "kbuildpy: insmod twice",
        "kbuildpy: status 0 ",
        "kbuildpy: rmmod twice",
        "kbuildpy: status 0 ",
    ]
    (first, second), _ = read_reports(log)
    assert first.rmmod is None
    assert second.rmmod == Attempt(0)

# SPDX-License-Identifier: GPL-2.0-only
"""What is a complaint in a kernel's log, of which kind, and where it ends."""

from __future__ import annotations

import re

import pytest

from kbuildpy.vm.complaints import find_complaints
from kbuildpy.vm.judge import judge
from kbuildpy.vm.reports import read_boot
from tests.support.guest_logs import MARKER, OOPS, SHUTDOWN, boot, trial
from tests.vm.referee.checks import messages_of

# What the loader's sources can say of a module that they do not take: all but taints, remarks, and what comes later.
_TAKEN = re.compile(
    r"taint|suspiciously|gnoring|not compiled with retpoline|loading module anyway|staging|must follow|extended symbol"
    r"|still alive|returned %d|after `--' ignored|per-cpu alignment|irq's|unknown parameter|fail-tracking|likely not"
    r"|symbol_get|unloaded tainted|Setting dangerous"
)


_MESSAGES = {message for line in ("6.1", "6.12", "7.3") for message in messages_of(line, versions=True)}


REFUSALS = sorted(message for message in _MESSAGES if not _TAKEN.search(message))


@pytest.mark.parametrize("message", REFUSALS)
def test_what_the_loader_says_when_it_refuses_is_known_from_what_an_init_function_does(message: str) -> None:
    line = re.sub(r"%\*?(?:phN|p|[lLz]*[sdiux])", "7", f"a: {message}" if "%s: " not in message else message)
    lines = [*boot("insmod 0"), line, *boot("errno 12", "tainted 0", "done")[1:]]
    (result,) = judge([trial("a")], read_boot(lines, MARKER), limit=4).final.values()
    assert [complaint.kind for complaint in result.complaints] == ["refused"]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        # as printed by kernel/locking/lockdep.c
        ("lockdep", "WARNING: possible recursive locking detected"),
        ("lockdep", "WARNING: possible circular locking dependency detected"),
        ("lockdep", "WARNING: inconsistent lock state"),
        ("lockdep", "WARNING: suspicious RCU usage"),
        ("lockdep", "INFO: trying to register non-static key."),
        # mm/kasan/report.c, lib/ubsan.c, kernel/sched/core.c
        ("bug", "BUG: KASAN: slab-out-of-bounds in init+0x1/0x2 [a]"),
        ("bug", "UBSAN: array-index-out-of-bounds in a.c:3:1"),
        ("bug", "BUG: sleeping function called from invalid context at a.c:3"),
        # lib/alloc_tag.c, mm/kmemleak.c
        ("leak", "a.c:3 module a func:init has 64 allocated at module unload"),
        ("leak", "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"),
        # kernel/watchdog.c, kernel/hung_task.c
        ("stall", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:1]"),
        ("stall", "INFO: task insmod:1 blocked for more than 120 seconds."),
        # kernel/resource.c
        ("warning", "Trying to free nonexistent resource <0000000000000300-000000000000030f>"),
        ("oops", "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP"),
    ],
)
def test_what_the_kernel_complains_about_is_known_by_its_kind(kind: str, line: str) -> None:
    (complaint,) = find_complaints(["a: fine", line, "b: fine"])
    assert (complaint.kind, complaint.log) == (kind, (line,))


@pytest.mark.parametrize("trace", [OOPS, SHUTDOWN])
def test_a_remark_from_another_processor_does_not_end_a_trace(trace: list[str]) -> None:
    remarks = ["tsc: Refined TSC clocksource calibration: 2596.105 MHz", "clocksource: Switched to clocksource tsc"]
    interrupted = [line for pair in ((line, *remarks) for line in trace) for line in pair]
    assert find_complaints(interrupted) == find_complaints(trace) != []


def test_what_a_warning_tells_of_a_workqueue_is_no_such_remark() -> None:
    # kernel/workqueue.c: check_flush_dependency
    told = "workqueue: WQ_MEM_RECLAIM a:work [a] is flushing !WQ_MEM_RECLAIM events:other [a]"
    hogged = "workqueue: work [a] hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND"
    trace = [SHUTDOWN[2], told, SHUTDOWN[3], SHUTDOWN[4]]
    (complaint,) = find_complaints([*trace[:2], hogged, *trace[2:], hogged])
    assert complaint.log == tuple(trace)


@pytest.mark.parametrize(
    "line",
    [
        "a: loading out-of-tree module taints kernel.",
        "a: module verification failed: signature and/or required key missing - tainting kernel",
        "a: debugging is on, BUG reports welcome",
        "a: no WARNING: at the beginning",
        "usb 1-1: new high-speed USB device",
    ],
)
def test_what_a_module_says_is_no_complaint(line: str) -> None:
    assert not find_complaints([line])


# As the kernels print them (mm/kasan/report.c, kernel/locking/lockdep.c, kernel/sched/core.c).
REPORTS = {
    "bug": [
        "=" * 66,
        "BUG: KASAN: slab-out-of-bounds in test_init+0x20/0x1000 [a]",
        "Write of size 1 at addr ffff888003a5c040 by task module_call/71",
        "CPU: 0 PID: 71 Comm: module_call Tainted: G           OE      6.12.0 #1",
        "Call Trace:",
        " <TASK>",
        " kasan_report+0xc6/0x100",
        " </TASK>",
        "Allocated by task 71:",
        " kasan_save_stack+0x1c/0x40",
        "The buggy address belongs to the object at ffff888003a5c000",
        " which belongs to the cache kmalloc-64 of size 64",
        "Memory state around the buggy address:",
        ">ffff888003a5c000: 00 00 00 00 00 00 00 00 fc fc fc fc fc fc fc fc",
        "=" * 66,
    ],
    "lockdep": [
        "=" * 44,
        "WARNING: possible recursive locking detected",
        "6.12.0 #1 Tainted: G           OE     ",
        "-" * 44,
        "module_call/71 is trying to acquire lock:",
        "ffffffffc0203020 (a_lock){+.+.}-{3:3}, at: test_init+0x20/0x1000 [a]",
        "but task is already holding lock:",
        "other info that might help us debug this:",
        " *** DEADLOCK ***",
        "stack backtrace:",
        "CPU: 0 PID: 71 Comm: module_call Tainted: G           OE      6.12.0 #1",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x57/0x7d",
        " </TASK>",
    ],
    "sleeps": [
        "BUG: sleeping function called from invalid context at a.c:3",
        "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 71, name: module_call",
        "preempt_count: 1, expected: 0",
        "INFO: lockdep is turned off.",
        "CPU: 0 PID: 71 Comm: module_call Tainted: G           OE      6.12.0 #1",
        "Call Trace:",
        " test_init+0x20/0x1000 [a]",
    ],
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_report_is_told_whole(report: list[str]) -> None:
    found = find_complaints(["a: before", *report, "a: between", *report, "a: behind"], modules=["a"])
    assert [(complaint.log, complaint.module) for complaint in found] == [(tuple(report), "a")] * 2

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
    # (as Debian's 6.1 for i386, armhf, ppc64el and s390x has them)
    "i386": [
        "BUG: kernel NULL pointer dereference, address: 00000000",
        "#PF: supervisor write access in kernel mode",
        "#PF: error_code(0x0002) - not-present page",
        "*pdpt = 0000000002cec001 *pde = 0000000000000000 ",
        "Oops: 0002 [#1] PREEMPT SMP PTI",
        "CPU: 1 PID: 115 Comm: module_call Tainted: G           OE      6.1.0-50-686-pae #1  Debian 6.1.176-1",
        "EIP: poke+0xb/0x1000 [a]",
        "Code: Unable to access opcode bytes at 0xe0801fe1.",
        "EAX: 00000000 EBX: 00000000 ECX: 00000000 EDX: 00000000",
        "DS: 007b ES: 007b FS: 00d8 GS: 0000 SS: 0068 EFLAGS: 00000246",
        "CR0: 80050033 CR2: e0801fe1 CR3: 02cf2000 CR4: 00350ef0",
        "---[ end trace 0000000000000000 ]---",
    ],
    "arm": [
        "Unable to handle kernel NULL pointer dereference at virtual address 00000000",
        "[00000000] *pgd=00000000",
        "Internal error: Oops: 805 [#1] SMP ARM",
        "Modules linked in: a(OE+)",
        "PC is at poke+0x18/0x1000 [a]",
        "LR is at boom_init+0x10/0x1000 [a]",
        "pc : [<bf000018>]    lr : [<bf005010>]    psr: 60000013",
        "sp : e0b91e98  ip : e0b91e8c  fp : 00000000",
        "r10: 0000017b  r9 : c1db1580  r8 : 00000000",
        "r3 : 00000000  r2 : 00000000  r1 : 00000000  r0 : 00000007",
        "Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none",
        "Control: 10c5387d  Table: 41f1006a  DAC: 00000051",
        "Register r0 information: non-paged memory",
        "Process module_call (pid: 110, stack limit = 0xd7441d3f)",
        "Stack: (0xe0b91e98 to 0xe0b92000)",
        "1e80:                                                       bf005000 c03023ec",
        " poke [a] from boom_init+0x10/0x1000 [a]",
        "Exception stack(0xe0b91fa8 to 0xe0b91ff0)",
        "1fe0: 00000000 bea21ea0 00000000 004000b0",
        "Code: e3023240 e34b3f00 e3a00007 e5933000 (e5830000) ",
        "---[ end trace 0000000000000000 ]---",
    ],
    "powerpc": [
        "BUG: Kernel NULL pointer dereference on write at 0x00000000",
        "Faulting instruction address: 0xc00800000041002c",
        "Oops: Kernel access of bad area, sig: 11 [#1]",
        "LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries",
        "Modules linked in: a(OE+)",
        "NIP:  c00800000041002c LR: c00800000041005c CTR: c00800000041003c",
        "REGS: c000000004d53620 TRAP: 0300   Tainted: G           OE       (6.1.0-50-powerpc64le Debian 6.1.176-1)",
        "MSR:  8000000002009033 <SF,VEC,EE,ME,IR,DR,RI,LE>  CR: 24000402  XER: 00000000",
        "CFAR: c008000000410058 DAR: 0000000000000000 DSISR: 42000000 IRQMASK: 0 ",
        "GPR00: c00800000041005c c000000004d538c0 c008000000438000 0000000000000007 ",
        "NIP [c00800000041002c] poke+0x24/0x34 [a]",
        "LR [c00800000041005c] boom_init+0x20/0xffc4 [a]",
        "Call Trace:",
        "[c000000004d538e0] [c0000000000121b0] do_one_initcall+0x80/0x320",
        "--- interrupt: c00 at 0x4000e4",
        "IRQMASK: 0 ",
        "Instruction dump:",
        "XXXXXXXX 00027ff8 00000000 3c4c0002 38427ff8 7c0802a6 60000000 3d220000 ",
        "39400007 38600007 e9298000 e9290000 <91490000> 4e800020 00027fc4 00000000 ",
        "---[ end trace 0000000000000000 ]---",
    ],
    "s390": [
        "Unable to handle kernel pointer dereference in virtual kernel address space",
        "Failing address: 0000000000000000 TEID: 0000000000000803",
        "Fault in home space mode while using kernel ASCE.",
        "AS:0000000001290007 R3:0000000000000024 ",
        "Oops: 0004 ilc:3 [#1] SMP ",
        "Modules linked in: a(OE+)",
        "Krnl PSW : 0704c00180000000 000003ff7fd0201a (poke+0x1a/0x30 [a])",
        "           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3",
        "Krnl GPRS: 0000000000000001 0000000000000000 0000000000000000 0000000000000000",
        "Krnl Code: 000003ff7fd02010: c41800000ff8        lgrl    %r1,000003ff7fd04000",
        "Call Trace:",
        " [<000003ff7fd0201a>] poke+0x1a/0x30 [a] ",
        "Last Breaking-Event-Address:",
        " [<000003ff7fd06010>] boom_init+0x10/0x28 [a]",
        "---[ end trace 0000000000000000 ]---",
    ],
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_report_is_told_whole(report: list[str]) -> None:
    found = find_complaints(["a: before", *report, "a: between", *report, "a: behind"], modules=["a"])
    assert [(complaint.log, complaint.module) for complaint in found] == [(tuple(report), "a")] * 2

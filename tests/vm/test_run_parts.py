"""What `kbuildpy run` is made of, without a kernel: whose fault a log is, what is loaded when, what is a wrong call."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.cli.run import _parameters
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.kernel.errnos import errno_words
from kbuildpy.kernel.installed import installed_kernels
from kbuildpy.kernel.module_names import read_softdeps
from kbuildpy.run import run, run_live
from kbuildpy.vm import ARM64, X86_64, Machine
from kbuildpy.vm.complaints import find_complaints
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.in_tree import KernelModules, read_indexes
from kbuildpy.vm.judge import judge
from kbuildpy.vm.kernels import Kernel, find_kernels
from kbuildpy.vm.module_call import module_call
from kbuildpy.vm.reports import new_marker, read_boot
from kbuildpy.vm.trial import Trial, closure, needed_by, read_trial, with_dependencies
from tests.elf_objects import elf_object
from tests.vm.referee.checks import messages_of

PACKAGE = Path(__file__).parents[2] / "kbuildpy/vm"


def trial(name: str, *, needs: tuple[str, ...] = (), likes: tuple[str, ...] = (), given: bool = True) -> Trial:
    image = ModuleImage(EMPTY, f"{name}.ko")
    return Trial(name, Path(f"{name}.ko"), image, needs=needs, likes=likes, given=given)


# What the loader's sources can say of a module that they do not take: all but taints, remarks, and what comes later.
_TAKEN = re.compile(
    r"taint|suspiciously|gnoring|not compiled with retpoline|loading module anyway|staging|must follow|extended symbol"
    r"|still alive|returned %d|after `--' ignored|per-cpu alignment|irq's|unknown parameter|fail-tracking|likely not"
    r"|symbol_get|unloaded tainted|Setting dangerous"
)
_MESSAGES = {message for line in ("6.1", "6.12", "7.3") for message in messages_of(line, versions=True)}
REFUSALS = sorted(message for message in _MESSAGES if not _TAKEN.search(message))

EMPTY = module_call(X86_64)  # (any ELF file will do: nothing in it is looked at)
MARKER = "kbuildpy-0123"
NONE = KernelModules({}, {}, {}, ())


@pytest.mark.parametrize(("machine", "prefix"), [(X86_64, ""), (ARM64, "aarch64-linux-gnu-")])
def test_the_guests_program_is_what_its_source_assembles_to(machine: Machine, prefix: str, tmp_path: Path) -> None:
    if os.uname().machine != "x86_64" or shutil.which(f"{prefix}as") is None:
        pytest.skip("no assembler for it")
    run([f"{prefix}as", PACKAGE / f"module_call_{machine.name}.S", "-o", tmp_path / "o"])
    run([f"{prefix}objcopy", "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "code"])
    assert module_call(machine).endswith((tmp_path / "code").read_bytes())
    assert len(module_call(machine)) == 64 + 56 + (tmp_path / "code").stat().st_size


def test_the_guests_program_prints_an_errno_here_too(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("a program for x86-64")
    program = tmp_path / "module_call"
    program.write_bytes(module_call(X86_64))
    program.chmod(0o755)
    # (a file that does not exist: nothing is loaded, whoever runs this)
    assert run([program, tmp_path / "none.ko", ""]).text == "2\n"


def test_an_errno_that_stays_in_the_kernel_has_its_name() -> None:
    assert errno_words(19) == "ENODEV (No such device)"
    assert errno_words(517).startswith("EPROBE_DEFER (")
    assert errno_words(524).startswith("ENOTSUPP (")


# --- Whose fault it is.

OOPS = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "#PF: supervisor write access in kernel mode",
    "RIP: 0010:init+0x10/0xff0 [{}]",
    "---[ end trace 0000000000000000 ]---",
]


def boot(*lines: str) -> list[str]:
    return [f"{MARKER}: {line}" for line in ("ready 6.1", *lines)]


def judged(names: str, lines: list[str], **given: bool) -> tuple[dict[str, str | None], str]:
    """Reasons by module (None: passed), of those that have a result; and who harmed the kernel."""
    found = judge([trial(name) for name in names.split()], read_boot(lines, MARKER, **given), limit=4)
    reasons = {
        name: None if result.passed else result.complaints[0].words if result.complaints else "no reason"
        for name, result in found.final.items()
    }
    return reasons, found.deadly


def test_modules_that_were_loaded_and_removed_pass() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "insmod 1", "errno 0", "tainted 0", "loaded")
    lines += boot("rmmod 1", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 0", "done")[1:]
    assert judged("a b", lines) == ({"a": None, "b": None}, "")


def test_what_fails_in_a_kernel_that_another_harmed_is_tried_again() -> None:
    lines = boot("insmod 0", "errno killed", "tainted 128")
    lines[2:2] = [line.format("a") for line in OOPS]
    lines += boot("insmod 1", "errno 12", "tainted 128", "insmod 2", "errno 0", "tainted 128", "loaded")[1:]
    lines += boot("rmmod 2", "errno 0", "tainted 128", "done")[1:]
    reasons, deadly = judged("a b c", lines)
    assert deadly == "a"
    assert reasons == {"a": f"the kernel oopsed: {OOPS[0]}", "c": None}


def test_what_a_trace_goes_through_is_to_blame_even_then() -> None:
    lines = boot("insmod 0", "errno killed", "tainted 128")
    lines[2:2] = [line.format("a") for line in OOPS]
    lines += (
        boot("insmod 1")[1:] + [line.format("b") for line in OOPS] + boot("errno killed", "tainted 128", "done")[1:]
    )
    assert set(judged("a b", lines)[0]) == {"a", "b"}


def test_an_oops_of_another_module_is_that_ones() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "insmod 1", "errno 0")
    lines += [line.format("a") for line in OOPS] + boot("tainted 128", "loaded", "rmmod 1", "errno 0", "tainted 128")[
        1:
    ]
    lines += boot("rmmod 0", "errno 0", "tainted 128", "done")[1:]
    reasons, deadly = judged("a b", lines)
    assert (deadly, reasons["b"]) == ("a", None)
    assert reasons["a"] is not None


def test_a_kernel_that_dies_without_a_word_dies_of_the_last_module() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "insmod 1")
    assert judged("a b", lines) == ({"b": "the kernel died in its init function"}, "b")
    assert judged("a b", lines, hung=True) == ({"b": "the whole kernel hung in its init function"}, "b")


def test_a_taint_that_no_line_explains_is_a_complaint() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 512", "done")
    assert judged("a", lines)[0] == {"a": "it gave the kernel the taint flag W (warning)"}


def test_a_kernel_that_was_left_in_the_shell_is_nobodys_fault() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "loaded", "shell")
    assert judged("a", lines) == ({"a": "it was not removed: the kernel was ended while it was loaded"}, "")


def test_what_kmemleak_lists_is_a_complaint() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 0")
    lines += boot("leak unreferenced object 0xffff888 (size 64):", "done")[1:]
    assert judged("a", lines)[0] == {"a": "kmemleak found memory that nothing points to any more"}


def test_reports_that_a_flood_has_overwritten_are_taken_from_the_guests_second_list() -> None:
    steps = ["insmod 0", "errno 0", "tainted 0", "insmod 1", "errno 0", "tainted 0", "loaded"]
    steps += ["rmmod 1", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 0"]
    everything = ["ready 6.1", *steps]
    for kept in range(1 << 6):
        # (of those in the middle some)
        first = [line for place, line in enumerate(everything) if not 4 <= place < 10 or kept >> place - 4 & 1]
        again = [*(f"again {line}" for line in everything), f"repeated {len(everything)}", "done"]
        lines = [f"{MARKER}: {line}" for line in (*first, *again)]
        lines.insert(5, "** 780 printk messages dropped **")
        assert not read_boot(lines, MARKER).lost
        assert judged("a b", lines) == ({"a": None, "b": None}, "")
        # Where not even that is whole, nobody is judged by it.
        del lines[-4]
        assert read_boot(lines, MARKER).lost
        assert judged("a b", lines) == ({}, "")


@pytest.mark.parametrize("message", REFUSALS)
def test_what_the_loader_says_when_it_refuses_is_known_from_what_an_init_function_does(message: str) -> None:
    line = re.sub(r"%\*?(?:phN|p|[lLz]*[sdiux])", "7", f"a: {message}" if "%s: " not in message else message)
    lines = [*boot("insmod 0"), line, *boot("errno 12", "tainted 0", "done")[1:]]
    (result,) = judge([trial("a")], read_boot(lines, MARKER), limit=4).final.values()
    assert [complaint.kind for complaint in result.complaints] == ["refused"]


# As mm/kmemleak.c prints it: up to 6.6 with hashed addresses before the names, which functions of a module that is gone
# have none of.
LEAKED = {
    "6.1": ["backtrace:", "[<00000000a5a5a5a5>] __kmalloc+0x4b/0x150", "[<000000005a5a5a5a>] 0xffffffffc02{}1015"],
    "6.12": ["backtrace (crc 6d0e5da2):", "__kmalloc_noprof+0x4b/0x150", "0xffffffffc02{}1015"],
}


@pytest.mark.parametrize("trace", LEAKED.values(), ids=LEAKED)
def test_memory_that_kmemleak_finds_is_the_fault_of_the_module_that_asked_for_it(trace: list[str]) -> None:
    def leak(of: str, *places: str, pid: int = 70) -> list[str]:
        process = f'comm "{of}", pid {pid}, jiffies 4294892318'
        return [f"leak {line}" for line in ("unreferenced object 0xffff888003a5c000 (size 64):", process, *places)]

    boot_time = leak("swapper/0", *trace[:2])
    of_b = leak("module_call", *(line.format(1) for line in trace), "do_one_initcall+0x13/0x200")
    told = both(*boot_time, *of_b, "tainted 0", "done")
    told.insert(
        -len(of_b) - len(boot_time) - 2, "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"
    )
    found = judge([trial("a"), trial("b")], read_boot(told, MARKER), limit=4).final
    assert (found["a"].complaints, len(found["b"].complaints)) == ((), 1)
    assert found["b"].complaints[0].log == tuple(line.removeprefix("leak ") for line in of_b)
    # Where an init function was, the next module may be: the process that ran it tells.
    told = both(*leak("module_call", *(line.format(1) for line in trace), pid=64), "done")
    told.insert(2, f"{MARKER}: pid 64")
    found = judge([trial("a"), trial("b")], read_boot(told, MARKER), limit=4).final
    assert (len(found["a"].complaints), found["b"].complaints) == (1, ())
    # What no module is seen in, all are told of.
    unknown = judge([trial("a"), trial("b")], read_boot(both(*leak("kworker/0:1"), "done"), MARKER), limit=4).final
    assert all(result.complaints[0].kind == "leak" for result in unknown.values())


def with_lockdep(*loads: str) -> list[str]:
    """A boot of modules `a`, `b`, ..., of which each has these taints, and of which `!` before them stops lockdep."""
    lines = boot("lockdep 1")
    on = 1
    for number, taints in enumerate(loads):
        lines += boot(f"insmod {number}")[1:]
        if taints.startswith("!"):
            on = 0
            lines += ["WARNING: possible recursive locking detected"] * ("P" not in taints)
        lines += boot("errno 0", "tainted 0", f"lockdep {on}", f"taints {taints.strip('!')}")[1:]
    for number in reversed(range(len(loads))):
        lines += boot(f"rmmod {number}", "errno 0", "tainted 0", f"lockdep {on}")[1:]
    return [*lines, *boot("done")[1:]]


def test_what_lockdep_did_not_look_at_any_more_is_tried_again() -> None:
    found = judge([trial(name) for name in "abc"], read_boot(with_lockdep("OE", "!OE", "OE"), MARKER), limit=4)
    assert (set(found.final), found.silencer) == ({"b"}, "b")
    assert found.final["b"].complaints[0].kind == "lockdep"
    # A proprietary module switches it off, for itself as well; another boot would be no better.
    found = judge([trial(name) for name in "abc"], read_boot(with_lockdep("OE", "!POE", "POE"), MARKER), limit=4)
    assert (set(found.final), found.silencer) == ({"b", "c"}, "b")
    # Nor where it is needed, or the kernel's own.
    for first in (trial("a"), trial("a", given=False)):
        trials = [first, trial("b", needs=("a",) if first.given else ())]
        assert judge(trials, read_boot(with_lockdep("!POE", "OE"), MARKER), limit=4).final.keys() == {"a", "b"}
    # Without lockdep nothing is tried again for it.
    lines = [line for line in with_lockdep("OE", "!OE", "OE") if "lockdep" not in line]
    assert judge([trial(name) for name in "abc"], read_boot(lines, MARKER), limit=4).final.keys() == {*"abc"}


LOADED = ["insmod {0}", "errno 0", "tainted 0", "line {1} 12288 0 - Live 0xffffffffc02{0}1000 (OE)"]
REMOVED = ["rmmod {0}", "errno 0", "tainted 0"]


def both(*after: str) -> list[str]:
    """A boot in which a and b were loaded and removed, and `after` that."""
    steps = [line.format(*module) for module in ((0, "a"), (1, "b")) for line in LOADED]
    return boot(*steps, *(line.format(number) for number in (1, 0) for line in REMOVED), *after)


def test_what_is_left_in_the_end_is_the_fault_of_the_module_that_it_came_with() -> None:
    reasons, deadly = judged("a b", both("remains 1 /proc/left", "remains 1 /proc/slabinfo: left", "done"))
    assert reasons == {"a": None, "b": "something was left behind: /proc/left, /proc/slabinfo: left"}
    assert deadly == ""


def test_while_nobody_knows_who_left_something_there_is_no_result() -> None:
    found = judge([trial("a"), trial("b")], read_boot(both("remains - /proc/left", "done"), MARKER), limit=4)
    assert (found.final, found.remains) == ({}, ["/proc/left"])
    alone = boot("insmod 0", "errno 19", "tainted 0", "remains - /proc/left", "done")
    (result,) = judge([trial("a")], read_boot(alone, MARKER), limit=4).final.values()
    assert [complaint.kind for complaint in result.complaints] == ["init", "leak"]


def test_what_a_module_that_stays_has_made_is_not_left_behind() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "rmmod 0", "errno 11", "remains - /proc/its", "done")
    (result,) = judge([trial("a")], read_boot(lines, MARKER), limit=4).final.values()
    assert [complaint.kind for complaint in result.complaints] == ["busy"]


def test_nobody_passes_before_it_is_known_what_is_left() -> None:
    assert judged("a b", both())[0] == {"a": "the kernel died after its exit function"}


@pytest.mark.parametrize("address", ["ffffffffc0211540", "ffffffffc0217540"])
def test_memory_of_a_module_that_is_gone_is_that_modules(address: str) -> None:
    oops = [f"BUG: unable to handle page fault for address: {address}", *OOPS[1:2], OOPS[-1]]
    panic = "Kernel panic - not syncing: Fatal exception in interrupt"
    found = judge([trial("a"), trial("b")], read_boot([*both(), *oops, panic], MARKER), limit=4)
    (complaint,) = found.final["b"].complaints
    assert found.final.keys() == {"b"}
    assert complaint.words.endswith("; the kernel died after its exit function (in memory that was b's)")
    assert complaint.log == (*oops, panic)


SHUTDOWN = [
    "BUG left (Tainted: G           OE     ): Objects remaining on __kmem_cache_shutdown()",
    "Object 0x0000000017baba49 @offset=1800",
    "------------[ cut here ]------------",
    "WARNING: CPU: 0 PID: 150 at mm/slub.c:1152 __kmem_cache_shutdown+0x246/0x320",
    "---[ end trace 0000000000000000 ]---",
    "------------[ cut here ]------------",
    "kmem_cache_destroy left: Slab cache still has objects when called from __do_sys_delete_module+0x1b8/0x350",
    "WARNING: CPU: 0 PID: 150 at mm/slab_common.c:548 kmem_cache_destroy+0x13f/0x150",
    "---[ end trace 0000000000000000 ]---",
]


def test_one_defect_is_one_complaint_whatever_the_kernel_makes_of_it() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 0")
    told = [*lines, *SHUTDOWN, *boot("tainted 544", "remains - /proc/slabinfo: left", "done")[1:]]
    (result,) = judge([trial("a")], read_boot(told, MARKER), limit=4).final.values()
    (complaint,) = result.complaints
    assert (complaint.kind, complaint.log) == ("leak", tuple(SHUTDOWN))
    # ... and two are two.
    twice = [*lines, *SHUTDOWN, *(line.replace("left", "other") for line in SHUTDOWN), *boot("done")[1:]]
    (result,) = judge([trial("a")], read_boot(twice, MARKER), limit=4).final.values()
    assert len(result.complaints) == 2


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


# --- What is loaded, and when.


def names(trials: list[Trial]) -> list[str]:
    return [item.name for item in trials]


def test_a_dependency_comes_first_and_the_rest_stays_in_order() -> None:
    given = [trial("c"), trial("b", needs=("a",)), trial("a")]
    assert names(with_dependencies(given, lambda: NONE)) == ["c", "a", "b"]


def test_the_kernels_own_modules_are_not_asked_for_where_nothing_needs_them() -> None:
    def fetch() -> KernelModules:
        raise AssertionError

    assert names(with_dependencies([trial("a"), trial("b", needs=("a",))], fetch)) == ["a", "b"]


def test_modules_that_need_each_other_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(KbuildError, match="circle: a -> b -> a"):
        with_dependencies([trial("a", needs=("b",)), trial("b", needs=("a",))], lambda: NONE)
    with pytest.raises(UsageError, match="two files of a module called a"):
        with_dependencies([trial("a"), trial("a")], lambda: NONE)


def test_what_is_found_nowhere_is_left_to_the_kernel() -> None:
    (only,) = with_dependencies([trial("a", needs=("nowhere",))], lambda: NONE)
    assert only.needs == ("nowhere",)


def test_a_boot_for_some_has_what_they_need_and_no_more() -> None:
    all_ = [trial("a"), trial("b", needs=("a",)), trial("c"), trial("d", likes=("c",))]
    assert names(closure(all_, ["b"])) == ["a", "b"]
    assert names(closure(all_, ["d"])) == ["c", "d"]
    assert needed_by(all_, "b") == {"a", "b"}
    assert needed_by(all_, "d") == {"d"}


def test_soft_dependencies_that_come_before_are_told_from_those_after() -> None:
    assert read_softdeps("pre: a b post: c").pre == ("a", "b")
    assert read_softdeps("post: c pre: a").pre == ("a",)
    assert read_softdeps("").pre == ()


def test_the_first_of_several_soft_dependencies_counts_as_for_modprobe(tmp_path: Path) -> None:
    modinfo = b"softdep=post: x pre: a-b\0softdep=pre: c\0depends=d,e-f\0"
    (tmp_path / "soft.ko").write_bytes(elf_object([], [], modinfo=modinfo))
    read = read_trial(tmp_path / "soft.ko")
    assert (read.likes, read.needs) == (("a-b",), ("d", "e_f"))


def test_indexes_are_read_as_modprobe_reads_them(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text("kernel/a-b.ko.xz: kernel/c.ko.xz kernel/d.ko.xz\nkernel/c.ko.xz:\n")
    (tmp_path / "modules.softdep").write_text(
        "# comment\nsoftdep a_b pre: hash post: e\nsoftdep a_b pre: c\nsoftdep none pre: c\n"
    )
    (tmp_path / "modules.alias").write_text("# comment\nalias hash c\nalias pci:v*d1* d\n")
    modules = read_indexes(tmp_path)
    assert modules.files["a_b"] == tmp_path / "kernel/a-b.ko.xz"
    assert modules.needs == {"a_b": ("d", "c"), "c": ()}
    assert modules.softdeps == {"a_b": ("hash",)}
    assert modules.named("a-b") == ("a_b",)
    assert modules.named("hash") == ("c",)
    assert modules.named("pci:v12d1x") == ("d",)
    assert modules.named("nothing") == ()


# --- Calls.


def test_a_module_that_is_cut_off_is_named(tmp_path: Path) -> None:
    cut = tmp_path / "cut.ko.xz"
    cut.write_bytes(b"\xfd7zXZ\0\0\4")
    with pytest.raises(KbuildError, match=r"cut\.ko\.xz: the xz contents are cut off"):
        read_trial(cut)
    with pytest.raises(UsageError, match=r"none\.ko: No such file"):
        read_trial(tmp_path / "none.ko")


def test_parameters_go_to_the_module_that_is_named() -> None:
    files = [Path("out/a-b.ko"), Path("c.ko.xz")]
    assert _parameters(["a_b: x=1", 'c:y="p q" z=2', "a-b:w=3"], files) == {
        files[0]: "x=1 w=3",
        files[1]: 'y="p q" z=2',
    }
    assert _parameters(["x=a:b"], files[:1]) == {files[0]: "x=a:b"}


@pytest.mark.parametrize(("words", "said"), [("x=1", "of which module"), ("d: x=1", "no module d is given")])
def test_parameters_of_nobody_are_a_wrong_call(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _parameters([words], [Path("a.ko"), Path("c.ko")])


def test_all_kernels_are_also_those_that_have_an_image_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    image = tmp_path / "boot/vmlinuz-6.1-image"
    image.parent.mkdir()
    image.write_bytes(b"\x7fELF".ljust(18, b"\0") + b"\x3e\0" + b"Linux version 6.1-image (somebody)")
    for release in ("6.1-image", "6.1-removed"):
        (tmp_path / "lib/modules" / release / "kernel").mkdir(parents=True)
    assert installed_kernels(tmp_path) == [image]
    monkeypatch.setattr("kbuildpy.vm.kernels.installed_kernels", lambda: installed_kernels(tmp_path))
    assert find_kernels(["all"]) == [Kernel("6.1-image", image, X86_64)]


def kbuildpy_run(*words: str | Path, path: Path | None = None) -> tuple[int, str]:
    done = run(
        [sys.executable, "-m", "kbuildpy", "run", *words],
        check=False,
        timeout=60,
        env={**os.environ, "PATH": str(path)} if path else None,
    )
    assert "Traceback" not in done.error_text
    assert not done.stdout
    return done.returncode, done.error_text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.ko"], "none.ko: No such file or directory"),
        ([sys.executable], "not a kernel module"),
        (["--timeout", "0", "a.ko"], "at least one second"),
        (["--gdb", "99999", "a.ko"], "no port has this number"),
        (["--memory", "1", "a.ko"], "at least 64 MiB"),
        (["--keep", "a.ko"], "standard input is none"),
        ([], "arguments are required"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(words: list[str], said: str) -> None:
    status, text = kbuildpy_run(*words)
    assert said in text
    assert status == 2


def test_a_damaged_file_is_a_result_of_its_own(tmp_path: Path) -> None:
    cut = tmp_path / "cut-off.ko"
    cut.write_bytes(EMPTY[:30])
    done = run([sys.executable, "-m", "kbuildpy", "run", cut, PACKAGE / "module_call.py"], check=False)
    assert (done.returncode, done.error_text) == (1, "0 of 2 without complaint\n")
    first, why, *others = done.text.splitlines()
    assert first == f"{cut}: not tried"
    assert re.match("  damaged: it was not tried, for the file is damaged: .*; build or copy it again", why)
    assert "not an ELF file" in others[1]


def test_a_program_that_prints_is_heard_while_it_runs() -> None:
    heard: list[tuple[float, bytes]] = []

    def watch(chunk: bytes) -> float:
        heard.append((time.monotonic(), chunk))
        return 20

    done = run_live(["sh", "-c", "echo one; sleep 1; echo two; echo three >&2"], watch=watch)
    assert done and (done.returncode, done.stderr) == (0, b"three\n")
    chunks = [item for item in heard if item[1]]
    assert [chunk for _, chunk in chunks] == [b"one\n", b"two\n"]
    assert chunks[1][0] - chunks[0][0] > 0.5


def test_a_program_that_says_nothing_for_too_long_is_ended() -> None:
    start = time.monotonic()
    assert run_live(["sleep", "100"], watch=lambda chunk: 0.5) is None
    assert time.monotonic() - start < 10


def test_a_program_that_fails_says_why_in_the_error() -> None:
    with pytest.raises(CommandError, match="status 3: because"):
        run_live(["sh", "-c", "echo because >&2; exit 3"], watch=lambda chunk: 10)
    with pytest.raises(CommandError, match="program not found") as missing:
        run_live(["qemu-system-x86_64-none"], watch=lambda chunk: 10)
    assert missing.value.returncode == 127


def test_a_result_is_final_with_what_is_known_by_then() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "line a 16384 0 - Live 0x0 (OE)", "taints OE", "insmod 1")
    found = judge([trial("a"), replace(trial("b"), parameters="x=1")], read_boot(lines, MARKER), limit=4)
    assert "a" not in found.final
    assert found.final["b"].parameters == "x=1"


# --- A log that ends anywhere, and modules that say anything.


def test_a_log_may_end_within_any_report() -> None:
    whole = "\n".join(boot("insmod 0", "errno 17", "tainted 12", "insmod 1", "errno killed", "tainted 512", "rmmod 0"))
    for end in range(len(whole) + 1):
        found = read_boot(whole[:end].split("\n"), MARKER)
        judge([trial("a"), trial("b")], found, limit=4)


def test_half_a_report_of_a_guest_is_none() -> None:
    shown: list[bytes] = []
    guest = Guest(["a"], marker=MARKER, limit=4, show=shown.append)
    guest.watch("\n".join(boot("insmod 0", "errno 17")).encode())
    step = guest.report().modules[0].load
    assert step and not step.answered
    guest.watch(b"\n" + "\n".join(boot("insmod 7", "insmod", "rmmod x", "done")).encode() + b"\n")
    step = guest.report().modules[0].load
    assert step and step.errno == 17
    assert shown == [b"  INSMOD  a\n"]


def test_a_module_cannot_speak_for_the_guest() -> None:
    said = ["kbuildpy: insmod foo", "kbuildpy: insmod 1", "kbuildpy: errno 0", "kbuildpy: done"]
    lines = [*boot("insmod 0"), *said, *boot("errno 19", "tainted 0", "done")[1:]]
    found = read_boot(lines, MARKER)
    assert [step.load and (step.load.errno, step.load.log) for step in found.modules.values()] == [(19, said)]
    assert new_marker() != new_marker()

# SPDX-License-Identifier: GPL-2.0-only
"""Whose fault what a guest said is, without a kernel: `kbuildpy run` on boots that are written down here."""

from __future__ import annotations

import pytest

from kbuildpy.vm.judge import judge
from kbuildpy.vm.reports import read_boot
from tests.support.guest_logs import MARKER, OOPS, SHUTDOWN, boot, trial


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
    assert judged("a", lines) == ({"a": "it was not removed: the kernel was stopped while it was loaded"}, "")


def test_what_kmemleak_lists_is_a_complaint() -> None:
    lines = boot("insmod 0", "errno 0", "tainted 0", "rmmod 0", "errno 0", "tainted 0")
    lines += boot("leak unreferenced object 0xffff888 (size 64):", "done")[1:]
    assert judged("a", lines)[0] == {"a": "kmemleak found memory that nothing points to"}


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
    assert reasons == {"a": None, "b": "the module left something behind: /proc/left, /proc/slabinfo: left"}
    assert deadly == ""


def test_while_nobody_knows_who_left_something_there_is_no_result() -> None:
    found = judge([trial("a"), trial("b")], read_boot(both("remains - /proc/left", "done"), MARKER), limit=4)
    assert (found.final, found.remains) == ({}, ["/proc/left"])
    none = judge([trial("a")], read_boot(boot("loaded", "remains - /proc/left", "done"), MARKER), limit=4)
    assert (none.final, none.remains) == ({}, [])
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

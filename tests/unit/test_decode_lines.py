# SPDX-License-Identifier: GPL-2.0-only
"""What a line of a kernel's log mentions, whatever stands in front of it."""

from __future__ import annotations

import time

import pytest

from kbuildpy.debug.log_facts import read_facts
from kbuildpy.debug.log_lines import read_mentions

FRONTS = {
    "bare": "",
    "dmesg": "[    2.123456] ",
    "dmesg -T": "[Sat Nov 28 18:17:27 2026] ",
    "dmesg -x": "kern  :info  : [    2.123456] ",
    "dmesg -r": "<4>[    2.123456] ",
    "caller": "[    2.123456][   T71] ",
    "journalctl": "Nov 28 18:17:27 host kernel: ",
    "journalctl -o short-monotonic": "[    2.123456] host kernel: ",
    "colours": "\x1b[32m[    2.123456] \x1b[0m\x1b[33m",
}


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
def test_reads_an_entry_of_a_trace_behind_anything(front: str) -> None:
    [found] = read_mentions([f"{front} ? poke.constprop.0+0x1a/0x40 [boom]\x1b[0m\r"])
    assert (found.symbol, found.offset, found.size, found.module) == ("poke.constprop.0", 0x1A, 0x40, "boom")
    assert found.returns and not found.certain


# The line, and whether the address is where a call returns to.
KINDS = [
    (" poke+0x1/0x40 [boom]", True),
    (" [<ffffffffc0123456>] poke+0x1/0x40 [boom]", True),
    (" [<f80ca4d0>] ? poke+0x1/0x40 [boom]", True),
    ("[<0>] poke+0x1/0x40 [boom]", True),
    ("RIP: 0010:poke+0x1/0x40 [boom]", False),
    ("RIP: 0010:[<ffffffffc0123456>]  [<ffffffffc0123456>] poke+0x1/0x40 [boom]", False),
    ("RIP [<ffffffffc0123456>] poke+0x1/0x40 [boom]", False),
    ("EIP: poke+0x1/0x40 [boom]", False),
    ("EIP is at poke+0x1/0x40 [boom]", False),
    ("IP: [<f80ca4d0>] poke+0x1/0x40 [boom]", False),
    ("pc : poke+0x1/0x40 [boom]", False),
    ("lr : poke+0x1/0x40 [boom]", True),
    ("PC is at poke+0x1/0x40 [boom]", False),
    ("LR is at poke+0x1/0x40 [boom]", True),
    ("epc : poke+0x1/0x40 [boom]", False),
    ("epc   : 80001234 poke+0x1/0x40 [boom]", False),
    ("ra    : 80001234 poke+0x1/0x40 [boom]", True),
    ("NIP [c000000000012345] poke+0x1/0x40 [boom]", False),
    ("LR [c000000000012345] poke+0x1/0x40 [boom]", True),
    ("[c0000000034bbb70] [c000000000012345] poke+0x1/0x40 [boom] (unreliable)", True),
    ("Krnl PSW : 0704c00180000000 000003ff8016e012 (poke+0x1/0x40 [boom])", False),
    (" poke+0x1/0x40 [boom] (P)", False),
    (" poke+0x1/0x40 [boom] (L)", True),
    ("WARNING: CPU: 0 PID: 71 at drivers/boom.c:12 poke+0x1/0x40 [boom]", False),
    ("WARNING: drivers/boom.c:12 at poke+0x1/0x40 [boom], CPU#0: insmod/71", False),
    ("BUG: KASAN: slab-out-of-bounds in poke+0x1/0x40 [boom]", True),
    ("BUG: KFENCE: use-after-free read in poke+0x1/0x40 [boom]", False),
    ("BUG: KFENCE: invalid free in poke+0x1/0x40 [boom]", True),
    ("ffffffffc0203020 (a_lock){+.+.}-{3:3}, at: poke+0x1/0x40 [boom]", True),
    ("hardirqs last  enabled at (12345): [<ffffffffc0123456>] poke+0x1/0x40 [boom]", True),
    ("    [<00000000a8cdf3d2>] poke+0x1/0x40 [boom]", True),
    # (an address of a function, not in it)
    ("ODEBUG: free active object type: timer_list hint: poke+0x0/0x40 [boom]", False),
]


@pytest.mark.parametrize(("line", "returns"), KINDS)
def test_knows_where_a_call_returns_to_from_where_the_processor_was(line: str, returns: bool) -> None:
    [found] = read_mentions([f"[    2.100000] {line}"])
    assert (found.symbol, found.module, found.returns) == ("poke", "boom", returns)


def test_an_entry_that_repeats_the_instruction_pointer_is_no_return_address() -> None:
    # arch/x86/kernel/dumpstack.c shows the frame of an exception among the others, with ?
    lines = ["RIP: 0010:poke+0x8/0x40 [boom]", "Call Trace:", " ? poke+0x8/0x40 [boom]", " poke+0x9/0x40 [boom]"]
    assert [found.returns for found in read_mentions(lines)] == [False, False, True]
    # (another oops, much later)
    apart = [lines[0], *["other: line"] * 200, lines[2]]
    assert [found.returns for found in read_mentions(apart)] == [False, True]


def test_reads_several_in_a_line_and_build_ids() -> None:
    build_id = "0123456789abcdef0123456789abcdef01234567"
    line = f" epc : poke+0x8/0x40 [boom {build_id}] ra : call+0x4/0x10 [other_one]"
    first, second = read_mentions([line])
    assert (first.build_id, first.returns, first.column) == (build_id, False, 7)
    assert (second.symbol, second.module, second.build_id, second.returns) == ("call", "other_one", "", True)


@pytest.mark.parametrize(
    "line",
    [
        "poke+0x8/0x",
        "poke+0x8",
        "0x8/0x40 [boom]",
        "path/poke+0x8/0x40/more",
        "+0x8/0x40 [boom]",
        "poke+0x123456789abcdef01/0x40 [boom]",
    ],
)
def test_what_is_cut_off_or_something_else_is_passed_over(line: str) -> None:
    assert read_mentions([line]) == []


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 ...) #1 SMP", "6.1.0-56-amd64"),
        ("CPU: 0 PID: 71 Comm: insmod Tainted: G           OE      6.12.0 #1 Debian 6.12.1-1", "6.12.0"),
        ("CPU: 0 UID: 0 PID: 71 Comm: insmod Not tainted 6.12.117+deb12-amd64 #1  Debian", "6.12.117+deb12-amd64"),
        ("CPU: 1 PID: 28102 Comm: rmmod Tainted: P        WC O    4.8.4-build.1 #1", "4.8.4-build.1"),
        ("6.12.0 #1 Tainted: G           OE     ", "6.12.0"),
        ("Linux version ../../etc (x) #1", ""),
    ],
)
def test_a_log_tells_the_release(line: str, release: str) -> None:
    assert read_facts(["a: b", f"[    1.0] {line}", "c: d"]).kernel_at(0).release == release


def test_a_log_of_several_boots_tells_the_release_of_each() -> None:
    lines = ["Linux version 6.1.0 (a) #1", "x", "Linux version 6.12.0 (a) #1", "y"]
    facts = read_facts(lines)
    assert [facts.kernel_at(number).release for number in range(4)] == ["6.1.0", "6.1.0", "6.12.0", "6.12.0"]


def test_a_log_tells_the_build_id_of_the_kernel() -> None:
    build_id = "0123456789abcdef0123456789abcdef01234567"
    line = f"CPU: 0 PID: 71 Comm: insmod Not tainted 6.12.0 #1 {build_id}"
    assert read_facts([line]).kernel_at(0) == ("6.12.0", build_id)


@pytest.mark.parametrize(
    "leading",
    ["RIP: " + "a" * 5000 + "!", "RIP:" + " " * 50_000 + "!", "RIP: " + "[<" * 5000, "pc : " + "0000 " * 5000 + "!"],
    ids=["digits", "spaces", "brackets", "numbers"],
)
def test_a_line_that_was_made_to_take_long_does_not(leading: str) -> None:
    """A module may print what it likes."""
    began = time.process_time()
    [found] = read_mentions([f"{leading} poke+0x1/0x40 [boom]"])
    assert found.returns
    assert time.process_time() - began < 1


def test_the_function_of_a_freed_object_was_not_called() -> None:
    line = "ODEBUG: free active (active state 0) object type: timer_list hint: tick+0x0/0x1 [boom]"
    hinted, called = read_mentions([line, " init+0xb1/0x1000 [boom]"])
    assert (hinted.symbol, hinted.certain, called.certain) == ("tick", False, True)

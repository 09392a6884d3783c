# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that panics before the guest's first program runs is booted once more; any other end is the guest's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.qemu import panicked_early
from kbuildpy.vm.session import started

PANIC = "Kernel panic - not syncing: Fatal exception in interrupt"
RUNS = "Run /init as init process"


@pytest.mark.parametrize(
    ("log", "early"),
    [
        ([], False),
        (["Linux version 6.12", PANIC], True),
        (["Linux version 6.12", RUNS], False),
        ([RUNS, PANIC], False),
        (["Linux version 6.12", "Oops: invalid opcode: 0000"], False),
    ],
)
def test_only_a_panic_before_the_first_program_is_early(log: list[str], early: bool) -> None:
    assert panicked_early(log) is early


def outcome(*reports: BootReport) -> tuple[BootReport, bytes, int]:
    """What `started` makes of boots that end like this one after the other: its result, its words, and how many boots
    it took."""
    said: list[bytes] = []
    left: Iterator[BootReport] = iter(reports)
    found = started(lambda: next(left), "6.12.1", 512, said.append)
    return found, b"".join(said), len(reports) - len(list(left))


GOOD = BootReport(release="6.12.1", log=[RUNS])
EARLY = BootReport(log=[PANIC])
SILENT = BootReport(log=[RUNS])


def test_a_kernel_that_starts_is_booted_once() -> None:
    assert outcome(GOOD, GOOD) == (GOOD, b"", 1)


def test_a_kernel_that_panics_early_is_booted_once_more_and_this_is_said() -> None:
    found, said, boots = outcome(EARLY, GOOD, GOOD)
    assert (found, boots) == (GOOD, 2)
    assert said.count(b"booting it once more") == 1


@pytest.mark.parametrize(("reports", "boots"), [([EARLY, EARLY, GOOD], 2), ([SILENT, GOOD], 1)])
def test_a_kernel_that_does_not_start_is_an_error(reports: list[BootReport], boots: int) -> None:
    left = iter(reports)
    with pytest.raises(KbuildError, match=r"6\.12\.1 did not start in QEMU"):
        started(lambda: next(left), "6.12.1", 512, lambda said: None)
    assert len(reports) - len(list(left)) == boots


WARNED = ["------------[ cut here ]------------", "WARNING: CPU: 0 at kernel/x.c:1 x+0x1/0x2", "---[ end trace 0 ]---"]
RISCV = [
    'CPU with hartid=0 is invalid: this kernel does not parse "riscv,isa"',
    "kernel BUG at arch/riscv/kernel/smpboot.c:153!",
    "epc : setup_smp+0x7c/0xda",
    *["epc : ffffffff802543b6 ra : ffffffff802543ae sp : ffffffff803d7db0"] * 20,
    "[<ffffffff80253c88>] setup_arch+0x51e/0x5a8",
]
X86 = [
    "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    "RIP: 0010:kernel_init+0x16/0x130",
    "RSP: 0018:ffffc90000013f48 EFLAGS: 00010246",
    *["RAX: 0000000000000000 RBX: ffffffff81c00000 RCX: 0000000000000000"] * 20,
    "FS:  0000000000000000(0000) GS:ffff88803ec00000(0000) knlGS:0000000000000000",
    "CR2: 0000000000000000 CR3: 000000000220a000 CR4: 00000000000006f0",
    "Call Trace:",
    " ret_from_fork+0x22/0x30",
]


@pytest.mark.parametrize("account", [RISCV, X86], ids=["riscv64", "x86-64"])
def test_the_error_shows_the_reason_the_calls_and_the_panic(account: list[str]) -> None:
    log = ["Linux version 6.12", *WARNED, *[f"driver {number}" for number in range(30)], *account, PANIC, "after"]
    with pytest.raises(KbuildError) as caught:
        started(lambda: BootReport(log=log), "6.12.1", 512, lambda said: None)
    shown = caught.value.hint.splitlines()[1:]
    assert shown[-1] == PANIC and len(shown) == 15
    kept = [line for line in account if not line.startswith(("RSP", "RAX", "FS:", "CR2", "epc : ffff"))]
    assert shown[-1 - len(kept) : -1] == kept


def watched(*lines: str) -> bool:
    """Whether a guest that prints `lines` has time left."""
    guest = Guest(["a"], marker="m", limit=4, show=lambda chunk: None)
    left = guest.watch("".join(f"{line}\n" for line in lines).encode())
    assert left is not None
    return left > 0


def test_a_kernel_that_stays_after_its_panic_is_not_waited_for() -> None:
    end = f"[    0.000000] ---[ end {PANIC} ]---"
    assert watched("[    0.000000] Linux version 6.12", PANIC)
    assert not watched(PANIC, end)
    # (a module can print this line, too)
    assert watched("m: ready 6.12.1", "m: insmod 0", end)

# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's program is, what it says, and how it is heard."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.kernel.errnos import errno_words
from kbuildpy.run import run
from kbuildpy.run_live import run_live
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.judge import judge
from kbuildpy.vm.machine import ARM64, RISCV, X86_64, Machine
from kbuildpy.vm.module_call import module_call
from kbuildpy.vm.report import new_marker
from kbuildpy.vm.reports import read_boot
from tests.support.guest_logs import MARKER, PACKAGE, boot, trial


@pytest.mark.parametrize(
    ("machine", "prefix"), [(X86_64, ""), (ARM64, "aarch64-linux-gnu-"), (RISCV, "riscv64-linux-gnu-")]
)
def test_the_guests_program_is_what_its_source_assembles_to(machine: Machine, prefix: str, tmp_path: Path) -> None:
    if os.uname().machine != "x86_64" or shutil.which(f"{prefix}as") is None:
        pytest.skip("no assembler for it")
    run([f"{prefix}as", PACKAGE / f"module_call_{machine.name}.S", "-o", tmp_path / "o"])
    run([f"{prefix}objcopy", "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "code"])
    assert module_call(machine).endswith((tmp_path / "code").read_bytes())
    assert len(module_call(machine)) == 64 + 2 * 56 + (tmp_path / "code").stat().st_size


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

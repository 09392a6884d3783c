# SPDX-License-Identifier: GPL-2.0-only
"""A command that a signal ends takes with it whatever it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.interrupts import can_be_interrupted

# A check of many files in processes, by a loader that takes its time.
CHECK = """
import sys, time, types
from pathlib import Path
from kbuildpy import cli
from kbuildpy.loader import check
from kbuildpy.loader.kept import judge
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.verdict import Verdict

def load_module(contents, kernel, modules, args, *, file, packed):
    time.sleep(0.05)
    return Verdict(file, kernel.release, "a", accepted=True), modules

def run(args):
    files = tuple(sorted(Path(sys.argv[1]).iterdir()))
    print("checking", flush=True)
    list(check.check_files(check.Check(files, (LoaderKernel("6.1", (6, 1), "x86_64"),), {}), jobs=2))
    return 0

judge.load_module = load_module
check.open_store = lambda: None
cli.import_module = lambda name: types.SimpleNamespace(add_arguments=lambda parser: None, run=run, EXAMPLES=())
sys.exit(cli.main(["kernels"]))
"""


def start(
    folder: Path, before: Callable[[], object] = can_be_interrupted, *, files: int = 400
) -> tuple[subprocess.Popen[bytes], dict[int, str]]:
    """Start the check, wait until its processes are at work; it, and when its processes were started, by their ids."""
    for number in range(files):
        (folder / f"m{number}.ko").write_bytes(b"a module")
    process = subprocess.Popen(
        [sys.executable, "-c", CHECK, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before
    )
    assert process.stdout and process.stdout.readline() == b"checking\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 2:
        assert process.poll() is None
    time.sleep(0.3)
    return process, {int(child): begun(int(child)) for child in children.read_text().split()}


def begun(pid: int) -> str:
    """When the process was started, as the kernel says it; "" for one that has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state == "Z" else fields[18]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_processes_that_check_end_with_the_one_that_started_them(number: signal.Signals, tmp_path: Path) -> None:
    process, workers = start(tmp_path)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    # (a keyboard's user knows, and SIGKILL leaves no time)
    named = number in (signal.SIGTERM, signal.SIGHUP)
    assert said.decode() == (f"kbuildpy: ended by {number.name}\n" if named else "")
    end = time.monotonic() + 5
    while any(began == begun(pid) for pid, began in workers.items()):
        assert time.monotonic() < end, "a process goes on"
        time.sleep(0.05)


def test_what_nohup_has_started_goes_on_without_its_terminal(tmp_path: Path) -> None:
    process, _ = start(tmp_path, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN), files=64)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0

# SPDX-License-Identifier: GPL-2.0-only
"""Programs whose output is read while they run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kbuildpy.run_live import run_live
from tests.support.documents import ROOT


def test_a_program_need_not_wait_for_a_reader_that_is_late(tmp_path: Path) -> None:
    # A guest's kernel would not wait either, and lose the characters.
    over = tmp_path / "over"
    taken: list[bytes] = []

    def watch(chunk: bytes) -> None:
        end = time.monotonic() + 10
        while not over.exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert over.exists(), "the program waits"
        taken.append(chunk)

    script = 'i=0; while [ $i -lt 900 ]; do printf %01000d 1; i=$((i + 1)); done; echo >"$0"'
    done = run_live(["sh", "-c", script, over], watch=watch)
    assert done and done.returncode == 0 and len(b"".join(taken)) == 900_000


MAKEFILE = """\
all:
	@$(MAKE) --no-print-directory sub
sub:
	@echo $$$$; exec sleep 300
"""


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for_the_end_of(process: int) -> None:
    until = time.monotonic() + 30
    while is_running(process):
        assert time.monotonic() < until, "it goes on"
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_what_make_has_started_ends_with_an_exception(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    said = b""

    def watch(chunk: bytes) -> None:
        nonlocal said
        said += chunk
        if said.endswith(b"\n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_live(["make", "-C", tmp_path, "--no-print-directory"], watch=watch, ending=signal.SIGTERM)
    wait_for_the_end_of(int(said))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_what_make_has_started_ends_when_this_process_is_killed(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    program = (
        "import os, signal\n"
        "from kbuildpy.run_live import run_live\n"
        "def watch(chunk): os.write(1, chunk)\n"
        "run_live(['make', '--no-print-directory'], watch=watch, ending=signal.SIGTERM)\n"
    )
    words, environ = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=tmp_path, env=environ) as parent:
        assert parent.stdout
        process = int(parent.stdout.readline())
        assert is_running(process)
        parent.kill()
        parent.wait()
    wait_for_the_end_of(process)

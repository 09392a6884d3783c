# SPDX-License-Identifier: GPL-2.0-only
"""Wrong calls of `kbuildpy run`, and files that are no modules."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.guest_logs import EMPTY, PACKAGE


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
        (["none.ko"], "none.ko: no such file or directory"),
        ([sys.executable], "not a kernel module"),
        (["--timeout", "0", "a.ko"], "at least one second"),
        (["--gdb-script", "x.gdb", "a.ko"], "--gdb-script is for --gdb"),
        (["--gdb", "99999", "a.ko"], "ports are numbered from 0 to 65535"),
        (["--drgn-script", "x.py", "a.ko"], "--drgn-script is for --gdb"),
        (["--gdb-at", "init", "a.ko"], "--gdb-at init is for --gdb"),
        (["--gdb", "--gdb-at", "init", "--keep", "a.ko"], "both need the guest's console"),
        (["--memory", "1", "a.ko"], "at least 64 MiB"),
        (["--keep", "a.ko"], "standard input is not a terminal"),
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
    assert re.match("  damaged: skipped: .*: build or copy it again", why)
    assert "not an ELF file" in others[1]

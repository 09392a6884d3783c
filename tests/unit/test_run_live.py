# SPDX-License-Identifier: GPL-2.0-only
"""Programs whose output is read while they run."""

from __future__ import annotations

import time
from pathlib import Path

from kbuildpy.run_live import run_live


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

# SPDX-License-Identifier: GPL-2.0-only
"""From nothing to a module whose test has passed in a real kernel, in seconds: there is nobody else who does it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from tests.bench_rows import BenchReport

RUNS = 3
_LIMIT = 20.0


def new_rows(report: BenchReport, tree: KernelTree) -> None:
    """Add the row to the report, with the seconds that it should not exceed."""
    seconds = statistics.median(_once(tree) for _ in range(RUNS))
    report.seconds("kbuildpy new misc demo, scons test", seconds, _LIMIT)


def _once(tree: KernelTree) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        place = Path(scratch).resolve()
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "kbuildpy", "new", "misc", "demo"], cwd=place, check=True, capture_output=True
        )
        scons = Path(sys.executable).with_name("scons")
        done = subprocess.run([scons, "-Q", f"KDIR={tree.objects}", "test"], cwd=place / "demo", capture_output=True)
        seconds = time.perf_counter() - began
        report = place / "demo/build" / tree.release / "demo.run.log"
        if done.returncode or "passed" not in report.read_text():
            sys.exit(f"the test of misc did not pass:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return seconds

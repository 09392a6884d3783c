# SPDX-License-Identifier: GPL-2.0-only
"""The rows of `./run bench` as values: printed when they are measured, kept in a history, read back from it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kbuildpy import __version__

RATIO, SECONDS, MEBIBYTES = "ratio", "s", "MiB"
"""What a value is: kbuildpy's time divided by the other tool's, seconds, or memory."""


@dataclass(frozen=True)
class BenchRow:
    """One line of the report."""

    name: str
    unit: str
    """`RATIO`, `SECONDS` or `MEBIBYTES`."""
    value: float
    limit: float | None
    """What the value should not exceed; None for a row without a limit."""
    runs: int = 1
    """How many runs the value is a median of."""
    theirs: float | None = None
    """Seconds of the other tool, of a ratio."""
    ours: float | None = None
    """Seconds of kbuildpy, of a ratio."""
    remark: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether the value exceeds the limit."""
        return self.limit is not None and self.value > self.limit

    def line(self) -> str:
        """The line that is printed."""
        after = f"{self.remark}{'  above the limit' if self.is_missed else ''}"
        if self.unit == RATIO:
            limit = "" if self.limit is None else f" {self.limit:>6.2f}"
            return (
                f"{self.name:<34} {self.runs:>4} {self.theirs or 0:>8.3f} {self.ours or 0:>8.3f} "
                f"{self.value:>6.2f}{limit}{after}"
            )
        if self.unit == SECONDS:
            return f"{self.name:<38} {self.value:>8.4f} s, limit {self.limit or 0:.2f} s{after}"
        return f"{self.name}: {self.value:.0f} MiB (limit {self.limit or 0:.0f}){after}"


@dataclass(frozen=True)
class BenchRun:
    """One run of the benchmarks, as a line of the history."""

    began: str
    """UTC, as ISO 8601 has it."""
    version: str
    """kbuildpy's."""
    commit: str
    """Of the checkout; "" where that is not known."""
    kernel: str
    """The release that was built for."""
    processors: int
    rows: tuple[BenchRow, ...]


@dataclass
class BenchReport:
    """Prints rows when they are measured, and keeps them."""

    rows: list[BenchRow] = field(default_factory=list)

    def ratio(
        self, name: str, theirs: Sequence[float], ours: Sequence[float], limit: float | None, remark: str = ""
    ) -> BenchRow:
        """A row of the medians of seconds of the other tool and of kbuildpy."""
        their_time, our_time = statistics.median(theirs), statistics.median(ours)
        row = BenchRow(name, RATIO, our_time / their_time, limit, len(ours), their_time, our_time, remark)
        return self._add(row)

    def seconds(self, name: str, seconds: float, limit: float) -> BenchRow:
        """A row of seconds."""
        return self._add(BenchRow(name, SECONDS, seconds, limit))

    def memory(self, name: str, mebibytes: float, limit: float) -> BenchRow:
        """A row of memory."""
        return self._add(BenchRow(name, MEBIBYTES, mebibytes, limit))

    @property
    def missed(self) -> int:
        """How many rows exceed their limits."""
        return sum(row.is_missed for row in self.rows)

    def _add(self, row: BenchRow) -> BenchRow:
        print(row.line(), flush=True)
        self.rows.append(row)
        return row


def this_run(kernel: str, rows: Sequence[BenchRow]) -> BenchRun:
    """The run that has just measured `rows`."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return BenchRun(began, __version__, asked.stdout.strip(), kernel, os.cpu_count() or 1, tuple(rows))


def read_history(file: Path) -> list[BenchRun]:
    """The runs in a history, the oldest first; none for a file that is not there. Exits for a file that is none."""
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            found.append(_run(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{file}:{number}: not a run of ./run bench ({error!r})") from error
    return found


def add_to_history(file: Path, run: BenchRun) -> None:
    """Add a line to the history `file`, which is made if it is not there. The line is written at once."""
    line = json.dumps(asdict(run)) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _run(value: Any) -> BenchRun:
    return BenchRun(**{**value, "rows": tuple(BenchRow(**row) for row in value["rows"])})

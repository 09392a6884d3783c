# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy matrix` prints and writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.cli.progress import Say
from kbuildpy.fleet.overview import Overview, overview_of
from kbuildpy.fleet.page import as_page
from kbuildpy.fleet.record import FAILED, PASSED, SKIPPED, Record
from kbuildpy.fleet.table import as_table
from kbuildpy.new_files import NewFile, write_new


def print_record(record: Record, say: Say, *, quiet: bool) -> None:
    """Print one result as JSON."""
    if not (quiet and record.status == PASSED):
        say(record.line())


def print_overview(records: Sequence[Record], releases: Sequence[str], *, quiet: bool) -> None:
    """Print the table, and on standard error how many passed; with `quiet` what failed only."""
    overview = overview_of([record for record in records if not quiet or record.status != PASSED], releases)
    for line in as_table(overview) if overview.rows else ():
        print(line)
    whole = overview_of(records, releases)
    counts = [f"{whole.count(status)} {status}" for status in (PASSED, FAILED, SKIPPED) if whole.count(status)]
    print(f"{_size(whole)}: {', '.join(counts) or 'nothing'}", file=sys.stderr)


def write_page(path: Path, records: Sequence[Record], releases: Sequence[str]) -> None:
    """Write the overview as a page; an existing file is replaced."""
    overview = overview_of(records, releases)
    write_new([NewFile(path, as_page(overview, _size(overview)).encode("utf-8", "surrogateescape"))], force=True)


def _size(overview: Overview) -> str:
    modules, kernels = len(overview.rows), len(overview.kernels)
    return f"{modules} module{'s' * (modules != 1)}, {kernels} kernel{'s' * (kernels != 1)}"

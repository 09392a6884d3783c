# SPDX-License-Identifier: GPL-2.0-only
"""The files about coverage, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.coverage.gcov import measured
from kbuildpy.coverage.lcov import as_lcov
from kbuildpy.coverage.page import as_page
from kbuildpy.coverage.record import InstrumentedBuild
from kbuildpy.coverage.report import FileCoverage, as_text, together
from kbuildpy.coverage.watched_run import Seen
from kbuildpy.files import replacing

LCOV, PAGE = "lcov.info", "index.html"

Coverage = Mapping[str, Sequence[FileCoverage]]
"""What was reached of the files of each module, by its name."""


def coverage_of(seen: Seen, builds: Mapping[str, InstrumentedBuild]) -> Coverage:
    """The coverage of the modules of `builds` (by their names), as `seen`; modules whose counters are lost have none.
    Raises what `measured` raises."""
    return {name: measured(seen.counters[name], build) for name, build in builds.items() if name in seen.counters}


def write_coverage(coverage: Coverage, place: Path, *, kernel: str, base: Path) -> list[str]:
    """Write both files into the folder `place`, for the kernel called `kernel`; the text about them and about what they
    hold, in which paths below `base` are told from there. Raises OSError."""
    files = together(file for found in coverage.values() for file in found)
    _write(place / LCOV, as_lcov(files))
    _write(place / PAGE, as_page(files, kernel=kernel, modules=list(coverage), base=str(base)))
    return [*as_text(files, kernel, base=str(base)), f"  {place / PAGE}, {place / LCOV}"]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as slot:
        slot.write(text.encode(errors="surrogateescape"))

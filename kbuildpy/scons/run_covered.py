# SPDX-License-Identifier: GPL-2.0-only
"""Runs instrumented modules of `env.RunModule()`, and leaves the files about their coverage among the output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kbuildpy.coverage.files import coverage_of, write_coverage
from kbuildpy.coverage.watched_run import Seen, builds_of, guest_of, run_watched
from kbuildpy.printable import printable
from kbuildpy.say import complain, say
from kbuildpy.scons.run_reports import coverage_place
from kbuildpy.vm.kernels import Kernel
from kbuildpy.vm.result import Result
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial


def run_covered(kernel: Kernel, trials: Sequence[Trial], settings: Settings) -> Iterable[Result]:
    """The results of `trials`; says what they reached. Raises `UsageError` for modules of which some are not
    instrumented, and what a run raises."""
    builds, seen = builds_of(trials), Seen()
    build = next(iter(builds.values()))
    results = list(run_watched(kernel, trials, settings, guest_of(build), seen, show=lambda chunk: None))
    for words in seen.complaints(kernel.release):
        complain(f"kbuildpy: {printable(words)}")
    # (a file without counters would say that all was reached)
    if seen.counters:
        place = coverage_place(trials[0].file)
        lines = write_coverage(coverage_of(seen, builds), place, kernel=kernel.release, base=Path.cwd())
        say("\n".join(map(printable, lines)))
    return results

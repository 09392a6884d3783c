# SPDX-License-Identifier: GPL-2.0-only
"""From what runs of checkers print to what is told: each finding once, at the module's own line, and only new ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from kbuildpy.lint.finding import Finding
from kbuildpy.lint.fingerprint import Fingerprints
from kbuildpy.lint.own_files import at_own_place
from kbuildpy.lint.run_checkers import CheckOutcome


class GatheredRun(NamedTuple):
    """What is told of one run of a checker."""

    checker: str
    """The checker."""
    findings: tuple[tuple[Finding, str], ...]
    """What is new, with fingerprints."""
    in_headers: int
    """How many findings in kernel headers are not told."""
    known: int
    """How many are not told because the baseline has them."""
    failure: str
    """What went wrong with the program; "" for nothing."""


def gather(
    outcomes: Iterable[CheckOutcome],
    *,
    is_own: Callable[[str], bool],
    kernel_headers: bool,
    baseline: Collection[str],
    shown: Callable[[str], str],
) -> Iterator[GatheredRun]:
    """What is told of each of `outcomes`, all those for one kernel.

    A finding in a header comes with each source that includes it, and is told once. Of those in kernel headers, only
    errors are, unless `kernel_headers`: nothing was checked behind such an error. `shown` turns a path into what
    it is called in every checkout, for the fingerprints, which `baseline` has of known ones.
    """
    seen: set[Finding] = set()
    marks = Fingerprints(shown)
    for outcome in outcomes:
        new: list[tuple[Finding, str]] = []
        in_headers = known = 0
        for found in outcome.findings:
            finding = at_own_place(found, is_own, kernel_headers=kernel_headers)
            if finding in seen:
                continue
            seen.add(finding)
            if not (kernel_headers or finding.level == "error" or is_own(finding.file)):
                in_headers += 1
            elif (mark := marks.of(finding)) in baseline:
                known += 1
            else:
                new.append((finding, mark))
        yield GatheredRun(outcome.checker, tuple(new), in_headers, known, outcome.failure)

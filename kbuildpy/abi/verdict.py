# SPDX-License-Identifier: GPL-2.0-only
"""What has to be done about a module for another kernel, in one word, from all that is known."""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.abi.explain_module import ModuleReport
from kbuildpy.loader.verdict import Verdict


class AbiOutcome(NamedTuple):
    """What has to be done."""

    state: str
    """`change` the sources, `rebuild`, `unknown`, or `loads`."""
    words: str


def outcome_of(report: ModuleReport, verdict: Verdict | None) -> AbiOutcome:
    """What has to be done about a module; `verdict` is the loader check's for the new kernel."""
    changed = report.must_be_changed
    if changed:
        names = ", ".join(each.symbol for each in changed[:3]) + (" ..." if len(changed) > 3 else "")
        if all(each.by_header for each in changed):
            return AbiOutcome("change", f"its sources may have to be changed: build it, and see ({names})")
        return AbiOutcome("change", f"cannot be rebuilt from the same sources ({names})")
    if report.other_crcs:
        where = ""
        if report.view.state == "differs":
            where = ", and it was compiled with other types than this kernel has"
        elif report.view.state == "same" and not report.view.absent:
            where = "; the types that it describes are the same, but the loader compares CRCs"
        return AbiOutcome("rebuild", f"rebuild it{where}")
    if verdict is not None and not verdict.accepted:
        return AbiOutcome("rebuild", "rebuild it: the loader refuses this file")
    if report.view.state == "differs":
        return AbiOutcome(
            "rebuild", "rebuild it: the loader would take it, but it was compiled with other types than this kernel has"
        )
    if report.view.state == "unknown":
        return AbiOutcome("unknown", "the loader takes it; whether its types are this kernel's is not known")
    if report.view.absent:
        return AbiOutcome("loads", f"it loads as it is; {len(report.view.absent)} of its types could not be compared")
    return AbiOutcome("loads", "it loads as it is")

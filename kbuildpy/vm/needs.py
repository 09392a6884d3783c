# SPDX-License-Identifier: GPL-2.0-only
"""Results that depend on other modules or on an earlier boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.judge import Judged
from kbuildpy.vm.result import Result
from kbuildpy.vm.trial import Trial, needed_by


def not_tried(ordered: Sequence[Trial], name: str, deadly: set[str], release: str) -> Result | None:
    """The result of a module that cannot be tried, because a module that it needs damages the kernel."""
    bad = sorted(needed_by(ordered, name) & deadly - {name})
    if not bad:
        return None
    trial = next(trial for trial in ordered if trial.name == name)
    complaint = Complaint("needs", f"skipped: it needs {bad[0]}, which damages the kernel")
    return Result(str(trial.file), release, name, trial.parameters, complaints=(complaint,), needs=trial.needs)


def with_needs(result: Result, ordered: Sequence[Trial], judged: Judged) -> Result:
    """`result`, with the reason if the module was not loaded because another module is missing, or because one of
    `--module` was not loaded."""
    for trial in ordered:
        first = judged.final.get(trial.name)
        if trial.asked and first and not first.loaded:
            why = first.complaints[0].words if first.complaints else "the kernel died"
            complaint = Complaint("needs", f"{trial.name}, which --module names, was not loaded: {why}")
            return replace(result, complaints=(complaint, *result.complaints))
    if result.loaded or any(complaint.kind == "needs" for complaint in result.complaints):
        return result
    known = {trial.name for trial in ordered}
    for name in result.needs:
        other = judged.final.get(name)
        if name not in known:
            why = "is neither a module that was given nor one of the kernel's own"
        elif other and not other.loaded:
            why = "was not loaded"
        else:
            continue
        complaint = Complaint("needs", f"it needs {name}, which {why}")
        return replace(result, complaints=(complaint, *result.complaints))
    return result


def with_earlier(result: Result, earlier: Result | None) -> Result:
    """`result`, or the result `earlier` of a previous boot with the complaints since then."""
    if earlier is None:
        return result
    return replace(earlier, complaints=tuple(dict.fromkeys((*earlier.complaints, *result.complaints))))

# SPDX-License-Identifier: GPL-2.0-only
"""A build as a page of HTML that stands alone: the picture, the way to the end, and a table of all steps."""

from __future__ import annotations

from datetime import datetime, timezone

from kbuildpy.page import as_document, table_of, text_of
from kbuildpy.timeline.build_trace import BuildTrace, TracedStep, way_to_the_end
from kbuildpy.timeline.picture import as_picture, summary

_HEAD = ("step", "job", "began (s)", "took (s)", "queued (s)", "waited for", "why", "outcome")


def as_page(trace: BuildTrace) -> str:
    """The page of `trace`."""
    began = datetime.fromtimestamp(trace.began_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    title = f"A build of {len(trace.steps)} steps, {trace.seconds:.2f} s"
    way = way_to_the_end(trace)
    parts = [
        f"<header><h1>{title}</h1></header>\n<main>",
        f"<p>Began at {began}, with {trace.jobs} jobs: {summary(trace)}. "
        f"It took {trace.declared:.2f} s to declare what is built.</p>",
        f'<div class="wide">{as_picture(trace)}</div>',
        "<h2>The way to the end</h2>",
        "<p>Each of these steps waited for the one before it. To make the build faster, make one of them faster.</p>",
        table_of(_HEAD, (_row(step, trace) for step in way), numbers=(1, 2, 3, 4)),
        "<h2>All steps</h2>",
        table_of(_HEAD, (_row(step, trace) for step in trace.steps), numbers=(1, 2, 3, 4)),
        "</main>",
    ]
    return as_document(f"{title}: kbuildpy build", "\n".join(parts))


def _row(step: TracedStep, trace: BuildTrace) -> list[str]:
    waited = "" if step.waited_for is None else text_of(trace.steps[step.waited_for].name)
    times = (step.began, step.seconds, step.queued)
    return [
        text_of(step.name),
        str(step.slot),
        *(f"{seconds:.3f}" for seconds in times),
        waited,
        text_of(step.why),
        step.outcome,
    ]

# SPDX-License-Identifier: GPL-2.0-only
"""A build in the trace format of Chrome, which chrome://tracing and Perfetto show.

(The format is described in Google's "Trace Event Format": complete events of phase X, times in microseconds; an arrow
from one event to another is a pair of events of the phases s and f.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kbuildpy.timeline.build_trace import BuildTrace

Event = dict[str, Any]

_PROCESS = 1


def as_chrome(trace: BuildTrace) -> str:
    """The trace as JSON: one event a line."""
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in _events(trace))
    other = json.dumps({"began_at": trace.began_at, "jobs": trace.jobs, "seconds": round(trace.seconds, 6)})
    return f'{{"displayTimeUnit":"ms","otherData":{other},"traceEvents":[\n{lines}\n]}}\n'


def _events(trace: BuildTrace) -> Iterator[Event]:
    yield _named("process_name", 0, "kbuildpy")
    yield _named("thread_name", 0, "declarations")
    for slot in range(1, trace.slots + 1):
        yield _named("thread_name", slot, f"job {slot}")
    yield _event("X", "declare what is built", "declare", 0, 0, dur=_micro(trace.declared))
    for number, step in enumerate(trace.steps):
        waited = None if step.waited_for is None else trace.steps[step.waited_for]
        args = {
            "target": _text(step.target),
            "why": _text(step.why),
            "outcome": step.outcome,
            "waited_for": waited and _text(waited.name),
            "waited_for_target": waited and _text(waited.target),
            "queued_ms": round(step.queued * 1000, 3),
        }
        began, name = _micro(step.began), _text(step.name)
        yield _event("X", name, "step", step.slot, began, dur=_micro(step.ended) - began, args=args)
        if waited is not None:
            # (an arrow begins within the event that it leaves)
            left = max(_micro(waited.ended) - 1, _micro(waited.began))
            yield _event("s", "waited for", "wait", waited.slot, left, id=number)
            yield _event("f", "waited for", "wait", step.slot, began, id=number, bp="e")


def _event(phase: str, name: str, category: str, slot: int, at: int, **more: Any) -> Event:
    return {"ph": phase, "name": name, "cat": category, "pid": _PROCESS, "tid": slot, "ts": at, **more}


def _named(what: str, slot: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": _PROCESS, "tid": slot, "args": {"name": name}}


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _text(text: str) -> str:
    """`text` as JSON can have it for every reader: a name that is not UTF-8 with marks in place of its bytes."""
    return text.encode("utf-8", "replace").decode()

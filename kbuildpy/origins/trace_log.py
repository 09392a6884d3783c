# SPDX-License-Identifier: GPL-2.0-only
"""What the copies of makefiles wrote down (`trace_makefiles`): the life of each variable in each run of make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kbuildpy.kbuild.make_output import read_records
from kbuildpy.origins.trace_makefiles import Assignment


@dataclass(frozen=True)
class Segment:
    """A part of a variable's value, with the assignment that put it there."""

    text: str
    """The part, as the variable holds it."""
    number: int
    """The step of its run of make, as a time."""
    assignment: Assignment


@dataclass(frozen=True)
class State:
    """A variable after an assignment."""

    simple: bool
    """Its text is final; otherwise it is expanded whenever it is used."""
    segments: tuple[Segment | None, ...]
    """Its parts in order. None stands for the value that it began with: from the environment of make."""
    value: str
    """The whole text."""


@dataclass
class MakeRun:
    """One run of make."""

    level: int
    """How many runs it is inside."""
    directory: str
    """The directory that it was asked about (`obj`)."""
    parent: MakeRun | None
    """The run that started it."""
    includes: list[tuple[int, Assignment, list[str]]] = field(default_factory=list)
    """The includes that it carried out: the step, where that stands, and the names of the makefiles."""
    variables: dict[str, list[tuple[int, State]]] = field(default_factory=dict)
    """Each variable's states, with the steps from which they hold."""

    def state(self, name: str, before: int | None = None) -> State | None:
        """The variable before a step (None: at the end); None for one that was not assigned."""
        found = None
        for number, state in self.variables.get(name, ()):
            if before is not None and number >= before:
                break
            found = state
        return found


def read_trace(text: str, assignments: Sequence[Assignment], *, parent: MakeRun | None = None) -> list[MakeRun]:
    """The runs of make that wrote `text`, in the order of their starts; the outermost of them are `parent`'s."""
    runs: list[MakeRun] = []
    stack: list[MakeRun] = []
    for step, record in enumerate(read_records(text)):
        if "start" in record:
            level = int(record["start"] or 0)
            stack = [run for run in stack if run.level < level]
            runs.append(MakeRun(level, record.get("obj", ""), stack[-1] if stack else parent))
            stack.append(runs[-1])
        elif "include" in record and stack:
            names = record.get("files", "").split()
            stack[-1].includes.append((step, assignments[int(record["include"])], names))
        elif "note" in record and stack:
            _note(stack[-1], step, record, assignments[int(record["note"])])
    return runs


def _note(run: MakeRun, step: int, record: Mapping[str, str], assignment: Assignment) -> None:
    name, value = record["name"], record.get("value", "")
    simple = record.get("flavor") == "simple"
    before = run.state(name)
    if before is not None and before.value == value and assignment.line.operator in ("+=", "?="):
        return
    segment = Segment(value, step, assignment)
    if assignment.line.operator == "+=":
        segments = _appended(run, before, segment)
    elif assignment.line.operator == "?=" and (before is not None or value != assignment.line.value):
        segments = before.segments if before else (None,)
    elif before is not None and before.value == value and not simple and value != assignment.line.value:
        return  # (a variable of the command line: the assignment is void)
    else:
        segments = (segment,)
    run.variables.setdefault(name, []).append((step, State(simple, segments, value)))


def _appended(run: MakeRun, before: State | None, segment: Segment) -> tuple[Segment | None, ...]:
    if before is None:
        # (what was there before came from the environment: the new part is the end)
        added = segment.assignment.line.value
        if segment.text == added:
            return (segment,)
        return (None, Segment(added, segment.number, segment.assignment))
    old = before.value
    if segment.text.startswith(old):
        rest = Segment(segment.text[len(old) :].strip(), segment.number, segment.assignment)
        return (*before.segments, rest)
    return (segment,)

# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a build. All times are seconds since the build began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MADE, FAILED, TAKEN = "made", "failed", "from cache"
"""What became of the targets of a step."""


class TracedStep(NamedTuple):
    """What one action did."""

    name: str
    """As the build prints it: `CC [M] x.o`."""
    target: str
    """The path of its first target."""
    slot: int
    """The job that ran it, from 1 on: steps of one slot do not overlap."""
    ready: float
    """When everything that it needed was there."""
    began: float
    ended: float
    waited_for: int | None
    """The number of the step that it waited for last; None if nothing that it needs was made in this build."""
    why: str
    """Why it was made; "" where that is not known."""
    outcome: str
    """`MADE`, `FAILED` or `TAKEN`."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def queued(self) -> float:
        """How long it was ready and had not begun: for want of a free slot, or because SCons had not come to it."""
        return max(self.began - self.ready, 0.0)


@dataclass(frozen=True)
class BuildTrace:
    """A build that is over."""

    began_at: float
    """When it began, in seconds since 1970."""
    declared: float
    """When everything was declared, and the first step could begin."""
    seconds: float
    """How long the whole build took."""
    jobs: int
    """How many steps were asked to run at a time (`-j`). SCons runs one more now and then."""
    steps: tuple[TracedStep, ...]
    """In the order in which they began."""

    @property
    def slots(self) -> int:
        """How many slots were used."""
        return max((step.slot for step in self.steps), default=0)

    @property
    def busy(self) -> float:
        """Seconds of all steps together."""
        return sum(step.seconds for step in self.steps)


def way_to_the_end(trace: BuildTrace) -> list[TracedStep]:
    """The steps that decided how long the build took: the one that ended last, the one that it waited for, and so on,
    in the order in which they ran."""
    if not trace.steps:
        return []
    way: list[TracedStep] = []
    number: int | None = max(range(len(trace.steps)), key=lambda at: trace.steps[at].ended)
    while number is not None:
        way.append(trace.steps[number])
        number = way[-1].waited_for
    return way[::-1]

# SPDX-License-Identifier: GPL-2.0-only
"""What became of modules when one of their calls of allocators failed.

An init function that returns an error then, and a test that fails, are what is expected. A defect is what the kernel
complains about, and memory that is still there in the end though it was freed in the run without a failure. (Memory
that was handed to the kernel may be left in either.)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.coverage.observations import AllocatorCall, Observations
from kbuildpy.printable import printable
from kbuildpy.source_place import Explain, Explained
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.result import Result, TestResult

MOST = 100
"""So many calls fail one after the other; of more, two of each place do."""
_OF_EACH = 2
_EXPECTED = ("init",)
"""The kinds of complaints that a failure of an allocator explains."""
_MODULE = re.compile(r"\[([\w-]+)(?: [0-9a-f]+)?\]$")


@dataclass(frozen=True)
class ExplainedCall:
    """A call of an allocator, with its place in the source."""

    call: AllocatorCall
    explained: Explained

    @property
    def text(self) -> str:
        """For people."""
        titles = self.explained.titles
        return f"{self.call.allocator} at {titles[0] if titles else self.call.place}"

    def to_json(self) -> dict[str, object]:
        """As `--format json` prints it."""
        return {
            "number": self.call.number,
            "allocator": self.call.allocator,
            "address": self.call.place,
            "where": [place.to_json() for place in self.explained.where],
        }


@dataclass(frozen=True)
class FaultResult:
    """What became of the modules when one call failed."""

    kernel: str
    number: int
    """The call, from 1 on."""
    of: int
    """How many calls there are without a failure."""
    failed: ExplainedCall | None
    """None: there was no such call, or it did not fail."""
    complaints: tuple[Complaint, ...]
    leaks: tuple[ExplainedCall, ...]
    """The calls whose memory was not freed."""
    outcome: str
    """What the modules said of it, a phrase."""
    is_told: bool = True
    """The guest told what it saw: it did not die before."""

    @property
    def passed(self) -> bool:
        """Whether the call failed without a defect."""
        return self.is_told and self.failed is not None and not self.complaints and not self.leaks

    def to_json(self) -> dict[str, object]:
        """One line of `--format json`."""
        return {
            "kernel": self.kernel,
            "fail_nth": self.number,
            "calls": self.of,
            "passed": self.passed,
            "failed": self.failed.to_json() if self.failed else None,
            "outcome": self.outcome,
            "complaints": [complaint.to_json() for complaint in self.complaints],
            "leaks": [leak.to_json() for leak in self.leaks],
        }

    def as_text(self) -> str:
        """The lines of text."""
        what = self.failed.text if self.failed else "no such call"
        lines = [f"call {self.number} of {self.of} ({self.kernel}): {what} failed: {self._verdict()}"]
        if self.failed is None:
            lines = [f"call {self.number} of {self.of} ({self.kernel}): {self._verdict()}"]
        for leak in self.leaks:
            lines.append(f"  leak: the memory of {leak.text} was not freed")
            lines += [f"    {title}" for title in leak.explained.titles[1:]]
        for complaint in self.complaints:
            lines += [f"  {line}" for line in complaint.title()]
        return "\n".join(map(printable, lines))

    def as_test(self) -> TestResult:
        """As a test of `kbuildpy run`, for JUnit; its lines are those of text, and the kernel's log of complaints."""
        head, *rest = self.as_text().splitlines()
        log = [line for complaint in self.complaints for line in complaint.text]
        name = f"call {self.number} of {self.of}"
        return TestResult(name, "fail-nth", self.passed, reason=head, output=(*rest, *log))

    def _verdict(self) -> str:
        if self.passed:
            return f"no defect; {self.outcome}"
        if not self.is_told and not self.complaints:
            return f"it is not known what came of it; {self.outcome}"
        if self.failed is None and not self.complaints:
            return f"it did not fail; {self.outcome}"
        defects = len(self.leaks) + len(self.complaints)
        return f"{defects} {'defect' if defects == 1 else 'defects'}; {self.outcome}"


def chosen_calls(baseline: Observations) -> list[int]:
    """The numbers of the calls that are to fail one after the other: all, or, of many, some of each place."""
    if baseline.made <= MOST:
        return list(range(1, baseline.made + 1))
    of_place: Counter[tuple[str, str]] = Counter()
    chosen = []
    for call in baseline.calls:
        of_place[call.allocator, call.place] += 1
        if of_place[call.allocator, call.place] <= _OF_EACH:
            chosen.append(call.number)
    return chosen


@dataclass(frozen=True)
class AllocatorCalls:
    """The calls of allocators that modules make in one kernel."""

    kernel: str
    """Its release."""
    explain: Explain
    trees: tuple[Path, ...]
    """The directories of the kernel tree."""
    baseline: Observations
    """What was seen without a failure."""

    def judge(self, number: int, results: Sequence[Result], seen: Observations | None) -> FaultResult:
        """What became of the modules whose `results` these are, when call `number` was to fail. `seen` is None where
        the guest died."""
        complaints = [each for result in results for each in result.complaints if each.kind not in _EXPECTED]
        complaints += [each for test in (results[0].tests if results else ()) for each in test.complaints]
        # (what cannot be removed holds its memory)
        gone = all(result.removed or (not result.loaded and result.errno) for result in results)
        leaks = held_more(seen, self.baseline) if seen and gone else []
        # (of a guest that died, the call is known from the run without a failure)
        failed = seen.failed if seen else next((each for each in self.baseline.calls if each.number == number), None)
        return FaultResult(
            kernel=self.kernel,
            number=number,
            of=self.baseline.made,
            failed=self.explained(failed) if failed else None,
            complaints=tuple(dict.fromkeys(complaints)),
            leaks=tuple(map(self.explained, leaks)),
            outcome=_outcome(results),
            is_told=seen is not None,
        )

    def none(self, number: int) -> FaultResult:
        """The result for a call that there is not."""
        return FaultResult(self.kernel, number, self.baseline.made, None, (), (), "there are no more calls")

    def explained(self, call: AllocatorCall) -> ExplainedCall:
        """`call` with its place: an inline function of the kernel's is passed over."""
        module = _MODULE.search(call.place)
        explained = self.explain([f" {call.place}"], module[1].replace("-", "_") if module else "")
        roots = tuple(f"{tree}/" for tree in self.trees)
        first = next((number for number, place in enumerate(explained.where) if not place.file.startswith(roots)), 0)
        titles = [title.removeprefix("inlined by ") for title in explained.titles[first : first + 1]]
        titles += explained.titles[first + 1 :]
        return ExplainedCall(call, explained._replace(where=explained.where[first:], titles=tuple(titles)))


def held_more(seen: Observations, baseline: Observations | None) -> list[AllocatorCall]:
    """The calls whose memory is held in `seen`, one for each block that is not in `baseline`, too, by their places."""
    known = Counter((call.allocator, call.place) for call in _held(baseline)) if baseline else Counter()
    more = []
    for call in _held(seen):
        if known[call.allocator, call.place] > 0:
            known[call.allocator, call.place] -= 1
        else:
            more.append(call)
    return more


def _held(seen: Observations) -> list[AllocatorCall]:
    by_number = {call.number: call for call in seen.calls}
    return [by_number[number] for number in sorted(seen.held) if number in by_number]


def _outcome(results: Sequence[Result]) -> str:
    phrases = []
    for result in results:
        if result.errno:
            phrases.append(f"{result.name} was not loaded ({result.errno})")
        elif not result.loaded:
            phrases.append(f"{result.name} was not loaded")
        else:
            phrases.append(f"{result.name} was {'loaded and removed' if result.removed else 'loaded'}")
    failed = [test.name for test in (results[0].tests if results else ()) if not test.passed]
    ran = any(test.status is not None for test in (results[0].tests if results else ()))
    if failed and ran:
        phrases.append(f"{len(failed)} {'test' if len(failed) == 1 else 'tests'} failed")
    return ", ".join(phrases)

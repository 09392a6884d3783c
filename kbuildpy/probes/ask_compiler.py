# SPDX-License-Identifier: GPL-2.0-only
"""Has the compiler answer probes: all in one run, and once more those whose errors another probe hides.

What can hide an answer: a text that the compiler reads on from into the next probe (the marks tell), a function that is
reported as undeclared only where it is called first, a declaration that two probes make, a header that does not go
with another one's. Each is found and asked again, at worst alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.printable import printable
from kbuildpy.probes.c_text import declared_names, needs_own_unit, words
from kbuildpy.probes.diagnostics import Reading, read_messages
from kbuildpy.probes.judge import judge
from kbuildpy.probes.probe import Probe
from kbuildpy.probes.translation_unit import includes_of, translation_unit

Compile = Callable[[str], str]
"""Compiles a source, for its errors only, and returns what the compiler says on standard error (see `diagnostics`)."""
_TOGETHER = 3
"""Rounds in which probes share a unit; then each gets its own."""


class Replies(NamedTuple):
    """What the compiler answered."""

    answers: dict[Probe, bool]
    """Yes or no for each probe."""
    headers: frozenset[str]
    """The headers that were read, as the compiler names them."""
    units: int
    """How many runs of the compiler it took."""


def ask_compiler(probes: Sequence[Probe], compile_unit: Compile) -> Replies:
    """Answer `probes`.

    Raises `KbuildError` for a probe whose answer would be neither, because of its text or its headers, and for a
    compiler that does not work.
    """
    asking = _Asking(compile_unit)
    together = [probe for probe in probes if not needs_own_unit(f"{probe.outside}\n{probe.text}")]
    asking.ask(together)
    for probe in probes:
        if probe not in asking.answers:
            asking.ask([probe])
    found = asking.answers
    return Replies({probe: found[probe] for probe in probes}, frozenset(asking.headers), asking.units)


class _Asking:
    """The questions of one call."""

    def __init__(self, compile_unit: Compile) -> None:
        self.answers: dict[Probe, bool] = {}
        self.headers: set[str] = set()
        self.units = 0
        self._compile = compile_unit

    def ask(self, probes: Sequence[Probe]) -> None:
        """Answer `probes` with the headers of all of them."""
        includes = includes_of(probes)
        apart: set[str] = set()
        strangers: set[frozenset[Probe]] = set()
        waiting, rounds = list(probes), 0
        while waiting:
            rounds += 1
            batch = _compatible(waiting, strangers) if rounds <= _TOGETHER else waiting[:1]
            reading = self._read(batch, includes, frozenset(apart))
            if reading.others:
                return self._ask_by_headers(waiting, reading)
            decided = self._decide(batch, reading, frozenset(apart))
            apart |= reading.undeclared.keys()
            strangers |= {frozenset((batch[one], batch[other])) for one, other in reading.meets}
            if not decided and len(batch) == 1:
                raise _not_read(batch[0], reading)
            waiting = [probe for probe in waiting if probe not in self.answers]
            rounds = rounds if decided else _TOGETHER
        return None

    def _read(self, batch: Sequence[Probe], includes: Sequence[str], apart: frozenset[str]) -> Reading:
        self.units += 1
        reading = read_messages(self._compile(translation_unit(batch, includes, apart=apart)))
        self.headers |= reading.headers
        for name in reading.missing:
            for probe in batch:
                if name in probe.includes:
                    raise KbuildError(
                        f"{probe.where()}: there is no header {name} in this kernel tree",
                        hint=f"includes='{name}?' includes it where it exists; header='{name}' asks for it",
                    )
        return reading

    def _decide(self, batch: Sequence[Probe], reading: Reading, apart: frozenset[str]) -> int:
        """Take the answers that are certain; how many."""
        decided = 0
        for number, probe in enumerate(batch):
            messages = reading.messages.get(number, [])
            in_step = number in reading.marks
            clean = not any(message.is_error for message in messages)
            if not in_step or (clean and number + 1 not in reading.marks):
                continue
            if any(one == number for one, _ in reading.meets):
                continue
            if self._hidden(number, probe, reading, apart) and (clean or probe.kind in ("call", "source")):
                continue
            self.answers[probe] = judge(probe, messages)
            decided += 1
        return decided

    def _hidden(self, number: int, probe: Probe, reading: Reading, apart: frozenset[str]) -> bool:
        """Whether `probe` uses an undeclared function, which was reported for another probe alone."""
        used = words(f"{probe.outside}\n{probe.text}")
        return any(
            name in used and number not in where and name not in apart for name, where in reading.undeclared.items()
        )

    def _ask_by_headers(self, probes: Sequence[Probe], reading: Reading) -> None:
        """Ask once more, each list of headers by itself: an error is in one of them, or headers exclude each other."""
        lists: dict[tuple[str, ...], list[Probe]] = {}
        for probe in probes:
            lists.setdefault(includes_of([probe]), []).append(probe)
        if len(lists) > 1:
            for group in lists.values():
                self.ask(group)
        elif len(probes) > 1:
            for probe in probes:
                self.ask([probe])
        else:
            raise KbuildError(
                f"{probes[0].where()}: its headers do not compile: {printable(reading.others[0])}",
                hint="the answer would be a guess: name the headers that this one needs before it in includes",
            )


def _compatible(probes: Sequence[Probe], strangers: set[frozenset[Probe]]) -> list[Probe]:
    """The probes that may share a unit with the first one: none declares a name that another one uses."""
    batch: list[Probe] = []
    declared: set[str] = set()
    used: set[str] = set()
    for probe in probes:
        declares = declared_names(probe.outside)
        uses = words(f"{probe.outside}\n{probe.text}")
        if declares & used or uses & declared or any(frozenset((probe, other)) in strangers for other in batch):
            continue
        batch.append(probe)
        declared |= declares
        used |= uses
    return batch


def _not_read(probe: Probe, reading: Reading) -> KbuildError:
    said = next((message.text for message in reading.messages.get(0, [])), "")
    if reading.marks:
        return KbuildError(
            f"{probe.where()}: the compiler reads on from its text into what follows{f': {said}' if said else ''}",
            hint="a macro in it opens a bracket: correct the text of the probe",
        )
    return KbuildError(
        f"{probe.where()}: the compiler reports no error where there is one",
        hint="its messages could not be read: is CC a GCC or clang?",
    )

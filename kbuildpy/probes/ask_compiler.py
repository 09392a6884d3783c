# SPDX-License-Identifier: GPL-2.0-only
"""Has the compiler answer probes: all in one run, and once more those whose errors another probe hides.

What can hide an answer: a text that the compiler reads on from into the next probe (the marks tell), a function that is
reported as undeclared only where it is called first, a declaration that two probes make, a header that does not go
with another one's. Each is found and asked again, at worst alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kbuildpy.errors import KbuildError
from kbuildpy.printable import printable
from kbuildpy.probes.apart import Apart, compatible, only_calls, shared_names
from kbuildpy.probes.c_text import names_in, needs_own_unit
from kbuildpy.probes.diagnostics import CompilerMessage, CompilerOutput, read_messages
from kbuildpy.probes.judge import judge
from kbuildpy.probes.probe import Probe
from kbuildpy.probes.translation_unit import includes_of, translation_unit


class Compile(Protocol):
    """Compiles a source, for its errors only, and returns what the compiler says on standard error (see `diagnostics`);
    with `generate`, after it has generated code."""

    def __call__(self, source: str, *, generate: bool) -> str: ...


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
    together = [probe for probe in probes if not (probe.alone or needs_own_unit(f"{probe.outside}\n{probe.text}"))]
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
        waiting, rounds, apart = list(probes), 0, Apart(shared_names(probes))
        while waiting:
            rounds += 1
            batch = compatible(waiting, apart) if rounds <= _TOGETHER else waiting[:1]
            apart = apart if len(batch) > 1 else Apart()
            reading, names = self._read(batch, includes, apart)
            if reading.others:
                return self._ask_by_headers(waiting, reading)
            known = _known(batch, names, reading)
            decided = self._decide(batch, known, reading, apart)
            if not decided and len(batch) == 1:
                raise _not_read(batch[0], reading)
            apart = apart.learn(
                batch,
                meets=reading.meets,
                undeclared=reading.undeclared.keys(),
                known=known,
                altered=[batch[number] for number in reading.altered],
            )
            waiting = [probe for probe in waiting if probe not in self.answers]
            rounds = rounds if decided else _TOGETHER
        self._generate([probe for probe in probes if probe.strict and self.answers[probe]], includes)
        return None

    def _generate(self, probes: Sequence[Probe], includes: Sequence[str]) -> None:
        """Let the compiler generate code for `probes`, which compile: what it then warns of means no."""
        waiting, apart = list(probes), Apart(shared_names(probes))
        while waiting:
            batch = compatible(waiting, apart)
            renamed = [apart.names(probe) for probe in batch]
            self.units += 1
            reading = read_messages(
                self._compile(translation_unit(batch, includes, apart=renamed, marks=False), generate=True)
            )
            late = [number for number, messages in reading.messages.items() if any(map(_is_late, messages))]
            self.answers.update((batch[number], False) for number in late)
            waiting = [probe for probe in waiting if probe not in batch]

    def _read(self, batch: Sequence[Probe], includes: Sequence[str], apart: Apart) -> tuple[CompilerOutput, list[str]]:
        """What the compiler says about a batch, and the names that the unit asks the headers about."""
        self.units += 1
        renamed = [apart.names(probe) if len(batch) > 1 else frozenset[str]() for probe in batch]
        names = sorted(frozenset[str]().union(*renamed) - apart.undeclared)
        unit = translation_unit(batch, includes, apart=renamed, unknown=names)
        reading = read_messages(self._compile(unit, generate=False))
        self.headers |= reading.headers
        for name in reading.missing:
            for probe in batch:
                if name in probe.includes:
                    raise KbuildError(
                        f"{probe.where()}: there is no header {name} in this kernel tree",
                        hint=f"includes='{name}?' includes it where it exists; header='{name}' asks for it",
                    )
        return reading, names

    def _decide(self, batch: Sequence[Probe], known: frozenset[str], reading: CompilerOutput, apart: Apart) -> int:
        """Take the answers that are certain, where headers declare the names `known`; how many."""
        decided = 0
        for number, probe in enumerate(batch):
            messages = reading.messages.get(number, [])
            clean = not any(message.is_error for message in messages)
            in_step = number in reading.marks and (not clean or number + 1 in reading.marks)
            disturbed = number in reading.altered or any(one == number for one, _ in reading.meets)
            if not in_step or disturbed or (len(batch) > 1 and apart.names(probe) & known):
                continue
            may_hide = clean or probe.kind in ("call", "source")
            if may_hide and _is_hidden(number, probe, reading, apart):
                continue
            self.answers[probe] = judge(probe, messages)
            decided += 1
        return decided

    def _ask_by_headers(self, probes: Sequence[Probe], reading: CompilerOutput) -> None:
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
            raise _not_compiled(probes[0], reading.others[0])


def _known(batch: Sequence[Probe], names: Sequence[str], reading: CompilerOutput) -> frozenset[str]:
    """Which of `names`, asked about in the unit of `batch`, headers declare, or have as a macro that a probe uses
    otherwise than by a call at file scope."""
    return frozenset(
        name
        for number, name in enumerate(names)
        if number not in reading.unknown and not (number in reading.macros and only_calls(name, batch))
    )


def _is_late(message: CompilerMessage) -> bool:
    """Whether a message comes from the generation of code: of a function that must not be called."""
    return "declared with attribute" in message.text or "call to '" in message.text


def _is_hidden(number: int, probe: Probe, reading: CompilerOutput, apart: Apart) -> bool:
    """Whether `probe` uses an undeclared function, which was reported for another probe alone."""
    used = names_in(f"{probe.outside}\n{probe.text}").plain
    return any(
        name in used and number not in where and name not in apart.undeclared
        for name, where in reading.undeclared.items()
    )


def _not_compiled(probe: Probe, said: str) -> KbuildError:
    if re.match(r"[^:\s]+:\d+:", said):
        hint = "the answer would be a guess: name the headers that this one needs before it in includes"
        return KbuildError(f"{probe.where()}: its headers do not compile: {printable(said)}", hint=hint)
    hint = "no probe has an answer: is it the compiler that the kernel was built with (CC=)?"
    return KbuildError(f"{probe.where()}: the compiler does not work: {printable(said)}", hint=hint)


def _not_read(probe: Probe, reading: CompilerOutput) -> KbuildError:
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

# SPDX-License-Identifier: GPL-2.0-only
"""Assigns the complaints of a boot to its modules, and decides which modules must run again in a fresh kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbuildpy.kernel.errnos import errno_name
from kbuildpy.vm.boot_report import BootReport, GuestStep, ModuleSteps
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.left_behind import MemoryOwners, leak, leaked_memory, section_ranges, untold, with_address
from kbuildpy.vm.named_addresses import with_names
from kbuildpy.vm.result import Result
from kbuildpy.vm.steps import HARM, complaints_in_test, complaints_of, remarks_in, with_death
from kbuildpy.vm.trial import Trial, closure


@dataclass(frozen=True)
class Judged:
    """The results of one boot."""

    final: Mapping[str, Result]
    """The results by module. One that is missing did not come to its end, or not by its own fault: it is to be tried
    again."""
    deadly: str
    """The module that harmed the kernel when it was loaded or removed, "" if none did."""
    remains: Sequence[str] = ()
    """What some of the modules left behind, as long as it takes another boot to see which."""
    silencer: str = ""
    """The module with which lockdep stopped looking, if others are to be tried again for that."""


@dataclass(frozen=True)
class _Call:
    """One step of the boot, with its complaints."""

    time: int
    """Its place in the order of all."""
    step: GuestStep
    complaints: Sequence[Complaint]
    trial: Trial | None
    """The module that was loaded or removed; None in a test, whose complaints here name a module each."""

    def blamed(self, complaint: Complaint) -> str:
        """The module that a complaint is about."""
        return complaint.module or (self.trial.name if self.trial else "")


@dataclass(frozen=True)
class _Harm:
    """The first complaint that means that the kernel is damaged."""

    time: int
    blamed: str
    in_test: bool


def judge(trials: Sequence[Trial], boot: BootReport, *, limit: float) -> Judged:
    """The results of `trials`, which are all that were in the boot, in order; `limit` as the guest was told.

    The first module that harms the kernel (an oops, a hang, a panic) has its result. What goes wrong after that in the
    same kernel may be the first one's doing: it counts only where the kernel's trace goes through the module itself.
    """
    calls = list(_calls(trials, boot, limit))
    harm = _first_harm(calls)
    last_heard = next((call for call in calls if boot.lockdep and call.trial and call.step.lockdep is False), None)
    told = [complaint for call in calls for complaint in call.complaints]
    alone = len(boot.modules) == 1
    # (with one module, the complaint belongs to that one; without any, no boot can tell)
    unclear = untold(boot.remains, told) if len(boot.modules) > 1 else []
    memory = _leaked_memory(trials, boot)
    final: dict[str, Result] = {}
    silencer = ""
    for number, steps in boot.modules.items():
        trial = trials[number]
        blamed = [
            (call.time, complaint)
            for call in calls
            for complaint in call.complaints
            if call.blamed(complaint) == trial.name
        ]
        last = max(call.time for call in calls if call.trial is trial)
        things = untold([*steps.remains, *(boot.remains if alone else ())], told)
        if things and steps.gone:
            blamed.append((last, leak(things)))
        own = [complaint for time, complaint in blamed if _is_own(complaint, time, trial.name, harm)]
        if steps.removal and (leaks := memory.get(trial.name) or memory.get("")):
            named = with_names(leaks, trial.image, steps.sections, trial.name)
            own.append(Complaint("leak", "kmemleak found memory that nothing points to", named, module=trial.name))
        if not own and boot.shell and steps.load and steps.load.errno == 0:
            own.append(Complaint("left", "it was not removed: the kernel was stopped while it was loaded"))
        result = _result(trial, steps, boot.release, own)
        # (leftovers are searched for at the end, which this kernel did not reach)
        passed = result.content and boot.done and not blamed
        # (a proprietary module is never looked at: it stops lockdep itself)
        unheard = last_heard is not None and last > last_heard.time and "P" not in steps.taints
        if passed and unheard and last_heard and last_heard.trial and _can_do_without(trial, last_heard.trial, trials):
            silencer = last_heard.trial.name
        elif any(complaint.kind in HARM for complaint in own) or ((own or passed) and not unclear and not boot.lost):
            final[trial.name] = result
    return Judged(final, harm.blamed if harm and not harm.in_test else "", unclear, silencer)


def _first_harm(calls: Sequence[_Call]) -> _Harm | None:
    for call in calls:
        for complaint in call.complaints:
            if complaint.kind in HARM:
                return _Harm(call.time, call.blamed(complaint), in_test=call.trial is None)
    return None


def _is_own(complaint: Complaint, time: int, name: str, harm: _Harm | None) -> bool:
    """Whether a complaint about the module `name` is its own doing, and not what another has done to the kernel."""
    return harm is None or time <= harm.time or complaint.module == name or harm.blamed == name


def _can_do_without(trial: Trial, other: Trial, trials: Sequence[Trial]) -> bool:
    """Whether there can be a boot with `trial` and without `other`."""
    return other.given and other.name not in {each.name for each in closure(trials, [trial.name])}


def _leaked_memory(trials: Sequence[Trial], boot: BootReport) -> dict[str, tuple[str, ...]]:
    callers = {
        step.pid: trials[number].name
        for number, steps in boot.modules.items()
        for step in (steps.load, steps.removal)
        if step and step.pid
    }
    return leaked_memory(boot.leaks, callers, _memory(trials, boot))


def _memory(trials: Sequence[Trial], boot: BootReport) -> MemoryOwners:
    lines, sections = {}, {}
    for number, steps in boot.modules.items():
        trial = trials[number]
        lines[trial.name] = steps.line
        sections[trial.name] = section_ranges(trial.image, steps.sections)
    return MemoryOwners(lines, sections)


def _calls(trials: Sequence[Trial], boot: BootReport, limit: float) -> Iterator[_Call]:
    """The steps in the order in which they were made."""
    names = [trial.name for trial in trials]
    before = 0
    for time, (number, step) in enumerate(_steps(boot)):
        if number is None:
            # (what names no module is the test's alone)
            found = [item for item in complaints_in_test(step, before, names=names) if item.module]
            yield _Call(time, step, found, None)
        else:
            yield _Call(time, step, _complaints(trials, number, step, boot, before, limit), trials[number])
        before = step.tainted if step.tainted is not None else before


def _complaints(
    trials: Sequence[Trial], number: int, step: GuestStep, boot: BootReport, before: int, limit: float
) -> list[Complaint]:
    """The complaints about one call for the module `number`; `before` is the taint mask before it."""
    trial, steps = trials[number], boot.modules[number]
    removal = step is steps.removal
    names = [trial.name for trial in trials]
    found = complaints_of(trial, step, before, removal=removal, held=steps.held, names=names, limit=limit)
    last = number == boot.last and (removal or steps.removal is None)
    if last and not (boot.testing or boot.lost or boot.done or boot.over or boot.shell):
        found = with_death(found, step, removal=removal, hung=boot.hung)
    if not all(each.module for each in found):
        memory = _memory(trials, boot)
        found = [each if each.module else with_address(each, memory) for each in found]
    # (what kmemleak counts in the end it lists as well)
    return [each for each in found if not (boot.leaks and "kmemleak: " in each.words)]


def _steps(boot: BootReport) -> list[tuple[int | None, GuestStep]]:
    """The calls in the order in which they were made, with the numbers of their modules, and what happened in tests."""
    loads = [(number, steps.load) for number, steps in boot.modules.items() if steps.load]
    removals = [(number, steps.removal) for number, steps in boot.modules.items() if steps.removal]
    tests = [(None, test.step) for _, test in sorted(boot.tests.items())]
    return [*loads, *tests, *reversed(removals)]


def _result(trial: Trial, steps: ModuleSteps, kernel: str, complaints: Sequence[Complaint]) -> Result:
    load, removal = steps.load or GuestStep(), steps.removal
    return Result(
        file=str(trial.file),
        kernel=kernel,
        name=trial.name,
        parameters=trial.parameters,
        loaded=load.errno == 0,
        removed=removal is not None and removal.errno == 0,
        errno=errno_name(load.errno) if load.errno else None,
        complaints=tuple(dict.fromkeys(complaints)),
        line=steps.line,
        taints=steps.taints,
        messages=tuple(steps.messages),
        sections=dict(steps.sections),
        needs=trial.needs,
        remarks=remarks_in(load),
        log=(*load.log, *(removal.log if removal else ())),
    )

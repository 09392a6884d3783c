"""Who is to blame for what in a boot of many modules, and whose turn has to come again in a fresh kernel."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbuildpy.kernel.errnos import errno_name
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.left_behind import leak, leaked_memory, untold, with_address
from kbuildpy.vm.reports import BootReport, ModuleSteps, Step
from kbuildpy.vm.result import Result
from kbuildpy.vm.steps import HARM, complaints_in_test, complaints_of, remarks_in, with_death
from kbuildpy.vm.trial import Trial, closure


@dataclass(frozen=True)
class Judged:
    """The results of one boot by module: `final` ones; the others were not finished, or not by their own fault, and are
    to be tried again. `deadly` is the module that harmed the kernel when it was loaded or removed, "" if none did.
    `remains` is what some of them left behind, as long as it takes another boot to see who did. `silencer` is the
    module with which lockdep stopped looking, if others are to be tried again for that."""

    final: Mapping[str, Result]
    deadly: str
    remains: Sequence[str] = ()
    silencer: str = ""


def judge(trials: Sequence[Trial], boot: BootReport, *, limit: float) -> Judged:
    """The results of `trials`, which are all that were in the boot, in order; `limit` as the guest was told.

    The first module that harms the kernel (an oops, a hang, a panic) has its result. What goes wrong after that in the
    same kernel may be the first one's doing: it counts only where the kernel's trace goes through the module itself.
    """
    found: dict[str, list[tuple[int, Complaint]]] = {trial.name: [] for trial in trials}
    harmed, harmful, deadly = sys.maxsize, "", ""
    last = {}
    stopped, stopper = sys.maxsize, None
    for time, (number, complaints, testing, step) in enumerate(_complaints(trials, boot, limit)):
        last[number] = time
        if boot.lockdep and step.lockdep is False and stopper is None:
            stopped, stopper = time, trials[number]
        for complaint in complaints:
            blamed = complaint.module or trials[number].name
            found[blamed].append((time, complaint))
            if complaint.kind in HARM and not harmful:
                harmed, harmful = time, blamed
                deadly = "" if testing else blamed
    told = [complaint for complaints in found.values() for _, complaint in complaints]
    unclear = untold(boot.remains, told) if len(boot.modules) > 1 else []
    lines = {trials[number].name: steps.line for number, steps in boot.modules.items()}
    callers = {step.pid: trials[number].name for number, step in _steps(boot) if number is not None and step.pid}
    memory = leaked_memory(boot.leaks, callers, lines)
    final = {}
    silencer = ""
    for number, steps in boot.modules.items():
        trial = trials[number]
        things = untold([*steps.remains, *(boot.remains if len(boot.modules) == 1 else ())], told)
        if things and steps.gone:
            found[trial.name].append((last[number], leak(things)))
        own = [
            complaint
            for time, complaint in found[trial.name]
            if time <= harmed or complaint.module == trial.name or harmful == trial.name
        ]
        if steps.removal and (leaks := memory.get(trial.name) or memory.get("")):
            own.append(Complaint("leak", "kmemleak found memory that nothing points to any more", leaks))
        if not own and boot.shell and steps.load and steps.load.errno == 0:
            own.append(Complaint("left", "it was not removed: the kernel was ended while it was loaded"))
        result = _result(trial, steps, boot.release, own)
        # (what was left behind is looked at in the end, and a kernel that did not get there has not told)
        passed = result.content and boot.done and not found[trial.name]
        unheard = last[number] > stopped and stopper is not None and _can_do_without(trial, stopper, trials)
        # (a proprietary module is never looked at: it stops lockdep itself)
        if passed and unheard and "P" not in steps.taints:
            assert stopper is not None
            silencer = stopper.name
        elif any(complaint.kind in HARM for complaint in own) or ((own or passed) and not unclear and not boot.lost):
            final[trial.name] = result
    return Judged(final, deadly, unclear, silencer)


def _can_do_without(trial: Trial, other: Trial, trials: Sequence[Trial]) -> bool:
    """Whether there can be a boot with `trial` and without `other`."""
    return other.given and other.name not in {each.name for each in closure(trials, [trial.name])}


def _complaints(
    trials: Sequence[Trial], boot: BootReport, limit: float
) -> Iterator[tuple[int, list[Complaint], bool, Step]]:
    """The complaints of each step, in the order in which they were made, with the number of its module, whether it was
    in a test, and the step."""
    names = [trial.name for trial in trials]
    lines = {names[number]: steps.line for number, steps in boot.modules.items()}
    before = 0
    for number, step in _steps(boot):
        if number is None:
            # (what names no module is the test's alone)
            for complaint in complaints_in_test(step, before, names=names):
                if complaint.module:
                    yield names.index(complaint.module), [complaint], True, step
            before = step.tainted if step.tainted is not None else before
            continue
        trial, steps = trials[number], boot.modules[number]
        removal = step is steps.removal
        complaints = complaints_of(trial, step, before, removal=removal, held=steps.held, names=names, limit=limit)
        last = number == boot.last and (removal or steps.removal is None)
        if last and not boot.testing and not boot.lost and not boot.done and not boot.over and not boot.shell:
            complaints = with_death(complaints, step, removal=removal, hung=boot.hung)
        before = step.tainted if step.tainted is not None else before
        complaints = [each if each.module else with_address(each, lines) for each in complaints]
        # (what kmemleak counts in the end it lists as well)
        complaints = [each for each in complaints if not (boot.leaks and "kmemleak: " in each.words)]
        yield number, complaints, False, step


def _steps(boot: BootReport) -> list[tuple[int | None, Step]]:
    """The calls in the order in which they were made, with the numbers of their modules, and what happened in tests."""
    loads = [(number, steps.load) for number, steps in boot.modules.items() if steps.load]
    removals = [(number, steps.removal) for number, steps in boot.modules.items() if steps.removal]
    tests = [(None, test.step) for _, test in sorted(boot.tests.items())]
    return [*loads, *tests, *reversed(removals)]


def _result(trial: Trial, steps: ModuleSteps, kernel: str, complaints: Sequence[Complaint]) -> Result:
    load, removal = steps.load or Step(), steps.removal
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

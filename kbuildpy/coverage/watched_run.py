# SPDX-License-Identifier: GPL-2.0-only
"""Runs instrumented modules with the module that watches them, and keeps what that saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kbuildpy.coverage.observations import CountedObject, Observations, added, read_observations
from kbuildpy.coverage.record import GUEST, InstrumentedBuild, build_of
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import read_regular
from kbuildpy.kernel.instrumented import is_instrumented
from kbuildpy.vm.kernels import Kernel
from kbuildpy.vm.result import Result
from kbuildpy.vm.session import run_modules
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial
from kbuildpy.vm.watcher import Watcher


@dataclass
class Seen:
    """What was seen in the boots of one kernel."""

    counters: dict[str, list[CountedObject]] = field(default_factory=dict)
    """The counters of each module, of all boots together."""
    incomplete: dict[str, None] = field(default_factory=dict)
    """The modules of which some are missing."""
    boots: list[Observations | None] = field(default_factory=list)
    """What was seen in each boot; None where the guest could not tell it."""
    unreadable: str = ""
    """Why the first report was refused that could not be read."""

    def boot(self, number: int) -> Observations | None:
        """What was seen in one boot, from 0 on; None also where there was none."""
        return self.boots[number] if number < len(self.boots) else None

    @property
    def blind(self) -> int:
        """The boots of which nothing is known."""
        return self.boots.count(None)

    def take(self, lines: Sequence[str] | None) -> None:
        """Take what the module told after a boot. What cannot be read counts as not told: a module may have overwritten
        it."""
        try:
            found = None if lines is None else read_observations(lines)
        except KbuildError as error:
            self.unreadable = self.unreadable or error.message
            found = None
        self.boots.append(found)
        if found is not None:
            self.incomplete.update(dict.fromkeys(found.incomplete))
            for name, objects in found.modules.items():
                self.counters[name] = added(self.counters.get(name, []), objects)

    def complaints(self, kernel: str) -> list[str]:
        """Sentences about the counters that are lost, for the kernel of this release."""
        found = []
        if self.blind:
            boots = "a boot" if self.blind == 1 else f"{self.blind} boots"
            why = self.unreadable or "it ended before the counters were read"
            rest = "" if self.counters else "; there are no others, so no coverage is told"
            found.append(f"the counters of {boots} of {kernel} are lost: {why}{rest}")
        found += [
            f"{name}: some counters are lost: the guest had no memory for them (--memory)" for name in self.incomplete
        ]
        return found


def run_watched(
    kernel: Kernel,
    trials: Sequence[Trial],
    settings: Settings,
    guest: bytes,
    seen: Seen,
    *,
    show: Callable[[bytes], None],
    missing: Sequence[str] = (),
    fail_nth: int = 0,
) -> Iterator[Result]:
    """As `run_modules`, with the module `guest`, whose observations go into `seen`; `fail_nth` is the call of an
    allocator that fails, from 1 on."""
    parameters = f"fail_nth={fail_nth}" if fail_nth else ""
    watcher = Watcher(GUEST, guest, seen.take, parameters)
    return run_modules(kernel, trials, replace(settings, watcher=watcher), show=show, missing=missing)


def builds_of(trials: Sequence[Trial]) -> dict[str, InstrumentedBuild]:
    """The build of each module by its name. Raises `UsageError` for a module that is not instrumented, or whose build
    is gone."""
    builds = {}
    for trial in trials:
        if not is_instrumented(trial.image):
            raise UsageError(
                f"{trial.file}: not instrumented, so that nothing counts what it does",
                hint="name the module directory, or a module of `kbuildpy build --coverage`",
            )
        builds[trial.name] = build_of(trial.file)
    return builds


def guest_of(build: InstrumentedBuild) -> bytes:
    """The module that watches those of `build`. Raises `KbuildError` if it is gone."""
    try:
        return read_regular(build.guest)
    except OSError as error:
        raise KbuildError(f"{build.guest}: {error.strerror}", hint="build again with --coverage") from error

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --coverage` and `--fail-nth`: instrumented modules, built first where a directory is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.cli.standard_error import on_standard_error
from kbuildpy.coverage.faults import AllocatorCalls, FaultResult, chosen_calls, held_more
from kbuildpy.coverage.files import LCOV, PAGE, Coverage, coverage_of, write_coverage
from kbuildpy.coverage.gcov import require_gcov
from kbuildpy.coverage.observations import Observations
from kbuildpy.coverage.record import GUEST
from kbuildpy.coverage.report import totals
from kbuildpy.coverage.watched_run import Seen, builds_of, guest_of, run_watched
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.check_paths import has_kbuild_file
from kbuildpy.kernel.module_files import find_modules, module_name
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.scons.standalone import build_directory
from kbuildpy.source_place import Explain
from kbuildpy.vm.kernels import Kernel
from kbuildpy.vm.located import with_places
from kbuildpy.vm.result import Result
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial


@dataclass(frozen=True)
class Asked:
    """What is asked of instrumented modules."""

    coverage: bool
    """Where they were."""
    fail_nth: int | None
    """Which call of an allocator fails: 0 for all, one after the other; None for none."""
    place: Path
    """Where the files about coverage go, in a folder for each kernel."""


@dataclass(frozen=True)
class InstrumentedResults:
    """What came of it in one kernel."""

    results: Sequence[Result]
    """Those of the run without a failure."""
    faults: Sequence[FaultResult]
    coverage: Coverage | None
    """None where it was not asked for; empty where all counters are lost."""
    place: Path | None
    """The folder with the files about it."""
    is_known: bool
    """The guest told what was asked for, and it could be read."""

    @property
    def passed(self) -> bool:
        """Whether all was told, and there was no defect."""
        return (
            self.is_known
            and all(result.passed for result in self.results)
            and all(fault.passed for fault in self.faults)
        )

    def to_json(self) -> list[dict[str, object]]:
        """The lines of `--format json`."""
        objects = []
        for result in self.results:
            keys = result.to_json()
            if self.coverage is not None:
                keys["coverage"] = self._of(result.name)
            objects.append(keys)
        return [*objects, *(fault.to_json() for fault in self.faults)]

    def _of(self, name: str) -> dict[str, object] | None:
        """The coverage of one module; None where its counters are lost."""
        files = (self.coverage or {}).get(name)
        if files is None or self.place is None:
            return None
        paths = {"lcov": str(self.place / LCOV), "html": str(self.place / PAGE)}
        return {**totals(files).to_json(), "files": [file.to_json() for file in files], **paths}


def read_fail_nth(word: str | None) -> int | None:
    """The value of --fail-nth: a number from 1 on, 0 for `all`. Raises `UsageError` for any other."""
    if word is None:
        return None
    if word == "all":
        return 0
    if not (word.isascii() and word.isdigit() and 0 < int(word) < 1 << 31):
        raise UsageError(f"--fail-nth {printable(word)}: neither a call (1 for the first one) nor `all`")
    return int(word)


def instrumented_files(files: Sequence[Path], kernels: Sequence[str], *, quiet: bool) -> list[Path]:
    """`files`, where a directory with a Kbuild file stands for the modules that are built of it now. Raises
    `UsageError` for a directory without modules, `KbuildError` where the build failed."""
    found: list[Path] = []
    for file in files:
        if file.is_dir() and has_kbuild_file(file):
            found += _built(file, kernels, quiet=quiet)
        elif file.is_dir():
            modules = [module for module in find_modules([file]) if module_name(module.name) != GUEST]
            if not modules:
                raise UsageError(
                    f"no modules below {file}, and no Kbuild file in it to build some of",
                    hint="name a module directory, or modules of `kbuildpy build --coverage` or `scons COVERAGE=1`",
                )
            found += modules
        else:
            found.append(file)
    return list(dict.fromkeys(found))


def run_instrumented(
    kernel: Kernel,
    trials: Sequence[Trial],
    settings: Settings,
    asked: Asked,
    *,
    explain: Explain,
    show: Callable[[bytes], None],
    missing: Sequence[str],
    take: Callable[[Iterable[Result]], list[Result]],
    tell: Callable[[str], None],
    tell_fault: Callable[[FaultResult], None],
) -> InstrumentedResults:
    """Run `trials` in `kernel` as `asked`; `take` goes through the results of the modules, `tell_fault` gets what
    became of each call that failed when it is known, `tell` the text of what else is found.

    Raises `UsageError` for modules that are not instrumented or not built for this kernel, and what a run raises.
    """
    builds = builds_of(trials)
    for trial in trials:
        if trial.release != kernel.release:
            raise UsageError(
                f"{trial.file}: instrumented for {trial.release}, not for {kernel.release}",
                hint=f"build it for this kernel: kbuildpy build --coverage -k {kernel.release}",
            )
    build = next(iter(builds.values()))
    guest, seen = guest_of(build), Seen()
    if asked.coverage:
        require_gcov(build)

    def run(fail_nth: int) -> Iterator[Result]:
        found = run_watched(kernel, trials, settings, guest, seen, show=show, missing=missing, fail_nth=fail_nth)
        return (with_places(each, explain) for each in found)

    results = take(run(0))
    faults = []
    if asked.fail_nth is not None:
        calls = AllocatorCalls(kernel.release, explain, build.trees, seen.boot(0) or Observations())
        for fault in _faults(calls, asked.fail_nth, results, seen, run, show=show, tell=tell):
            faults.append(fault)
            tell_fault(fault)
    for words in seen.complaints(kernel.release):
        complain(f"kbuildpy: {printable(words)}")
    known = not seen.unreadable and (asked.fail_nth is None or seen.boot(0) is not None)
    if not asked.coverage:
        return InstrumentedResults(results, faults, None, None, is_known=known)
    if not seen.counters:
        return InstrumentedResults(results, faults, {}, None, is_known=False)
    coverage, place = coverage_of(seen, builds), asked.place / kernel.release
    for line in write_coverage(coverage, place, kernel=kernel.release, base=Path.cwd()):
        tell(printable(line))
    return InstrumentedResults(results, faults, coverage, place, is_known=known)


def _faults(
    calls: AllocatorCalls,
    number: int,
    results: Sequence[Result],
    seen: Seen,
    run: Callable[[int], Iterable[Result]],
    *,
    show: Callable[[bytes], None],
    tell: Callable[[str], None],
) -> Iterator[FaultResult]:
    """Let call `number` fail, or all of `calls`, each in a boot of its own, after a run with these `results`."""
    baseline = calls.baseline
    if seen.boot(0) is None or not all(result.passed for result in results):
        complain("kbuildpy: --fail-nth: no call was made to fail, because the run without a failure is not good")
        return
    for call in held_more(baseline, None):
        tell(printable(f"note: the memory of {calls.explained(call).text} is never freed, or handed over"))
    if baseline.unwatched:
        complain(f"kbuildpy: {baseline.unwatched} blocks of memory were too many to be watched: they are not told of")
    if number > baseline.made:
        yield calls.none(number)
        return
    chosen = [number] if number else chosen_calls(baseline)
    if not chosen:
        tell(f"no call of an allocator ({calls.kernel}): there is none to fail")
    elif len(chosen) < baseline.made and not number:
        tell(f"of {baseline.made} calls ({calls.kernel}), {len(chosen)} fail: two of each place")
    for each in chosen:
        show(f"kbuildpy: booting {printable(calls.kernel)} for call {each} of {baseline.made} to fail\n".encode())
        first = len(seen.boots)
        found = list(run(each))
        # (after a crash, the boots that follow are of the remaining modules and tests: another call has this number)
        yield calls.judge(each, found, seen.boot(first))


def _built(directory: Path, kernels: Sequence[str], *, quiet: bool) -> list[Path]:
    """Build `directory`, and return its modules."""
    built: list[dict[str, object]] = []
    here = Path.cwd()
    try:
        with on_standard_error():
            status = build_directory(
                directory,
                kernels=kernels,
                out=None,
                jobs=os.cpu_count() or 1,
                variables={},
                options=["-s"] if quiet else [],
                allow_empty=False,
                results=built,
                coverage=True,
            )
    finally:
        # (SCons works in the directory)
        os.chdir(here)
    modules = [Path(os.path.relpath(str(item["file"]))) for item in built if item["file"]]
    if status or not modules:
        raise KbuildError(f"{directory}: not built, so that there is nothing to run")
    return modules

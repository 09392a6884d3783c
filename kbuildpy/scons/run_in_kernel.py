# SPDX-License-Identifier: GPL-2.0-only
"""Loads built modules in the kernel that they are built for, and leaves a report beside each: the work of
`env.RunModule()`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.debug.explain import explainer
from kbuildpy.debug.subjects import subject_of
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.kernel.instrumented import is_instrumented
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.say import complain, say
from kbuildpy.scons.run_reports import failed_report_of, report_of
from kbuildpy.vm.describe import as_text, describe_test
from kbuildpy.vm.kernels import kernel_of_tree
from kbuildpy.vm.located import with_places
from kbuildpy.vm.machine import machine_of_module
from kbuildpy.vm.programs import read_test
from kbuildpy.vm.qemu import require_programs
from kbuildpy.vm.result import Result
from kbuildpy.vm.session import run_modules
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import read_trial


def run_in_kernel(
    tree: KernelTree,
    modules: Sequence[Path],
    settings: Settings,
    *,
    parameters: Mapping[str, str],
    programs: Iterable[tuple[str, str]],
) -> None:
    """Load `modules` in the kernel of `tree`, all in one boot, with `parameters` by their names; then run `programs`,
    each a file and the name that messages have for it.

    Raises `KbuildError` when anything was wrong; then that module's report is the failed one.
    """
    for module in modules:
        failed_report_of(module).unlink(missing_ok=True)
    trials = [read_trial(module, parameters[module_name(module.name)]) for module in modules]
    # (before a kernel is fetched)
    require_programs(filter(None, (machine_of_module(trial.image) for trial in trials)))
    kernel = kernel_of_tree(tree)
    tests = tuple(replace(read_test(file), name=name) for file, name in programs)
    ready = replace(settings, tests=tests)
    explain = explainer([subject_of(trial.image, trial.file) for trial in trials], Path.cwd())
    if any(is_instrumented(trial.image) for trial in trials):
        from kbuildpy.scons.run_covered import run_covered  # (for instrumented modules only)

        found = run_covered(kernel, trials, ready)
    else:
        found = run_modules(kernel, trials, ready, show=lambda chunk: None)
    results = {result.file: with_places(result, explain) for result in found}
    done = next(iter(results.values())).tests
    for test in done:
        (say if test.passed else complain)(describe_test(test, kernel.release))
    for module in modules:
        _write_report(module, results[str(module)])
    bad = [result for result in results.values() if not result.content]
    failed = [test for test in done if not test.passed]
    if failed and not bad:
        raise KbuildError(f"{len(failed)} of {len(done)} tests failed in {kernel.release}")
    if bad:
        names = ", ".join(result.name for result in bad)
        places = ", ".join(str(failed_report_of(Path(result.file))) for result in bad)
        raise KbuildError(
            f"{len(bad)} of {len(results)} modules failed in {kernel.release}: {names}",
            hint=f"the kernel's log is in {places}",
        )


def _write_report(module: Path, result: Result) -> None:
    """Write the report of one module; print it on standard error if anything was wrong."""
    text = as_text(result)
    tests = [f"{describe_test(test, result.kernel)}\n" for test in result.tests]
    log = "\n".join(result.log)
    with replacing((report_of if result.passed else failed_report_of)(module)) as slot:
        slot.write(f"{text}\n{''.join(tests)}\nThe kernel's log:\n{log}\n".encode(errors="surrogateescape"))
    if not result.content:
        complain(text)

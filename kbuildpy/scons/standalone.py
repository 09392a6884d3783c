# SPDX-License-Identifier: GPL-2.0-only
"""Builds a directory that has no SConstruct: `kbuildpy build`.

Here is what can be said before SCons is needed; `run_standalone` runs it, in this process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.coverage.place import instrumented_place
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file, check_output_name
from kbuildpy.kbuild.finished_build import AskedAgain, find_finished
from kbuildpy.kbuild.lock import lock_output
from kbuildpy.kbuild.repeated_call import early_compilers
from kbuildpy.kbuild.single_targets import target_below
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.output_folder import output_folders
from kbuildpy.kernel.resolve import resolve
from kbuildpy.pin import take_pin
from kbuildpy.say import complain, write
from kbuildpy.scons.build_request import BuildRequest


def build_directory(
    directory: Path,
    *,
    kernels: Sequence[str],
    out: Path | None,
    jobs: int,
    variables: Mapping[str, str],
    options: Sequence[str],
    allow_empty: bool,
    results: list[dict[str, object]] | None = None,
    targets: Sequence[str] = (),
    compile_commands: Path | None = None,
    coverage: bool = False,
    cache: str = "",
    cache_key: str = "",
    traces: Sequence[Path] = (),
) -> int:
    """Build every module of the Kbuild file in `directory` for `kernels`, into `out`/RELEASE; the exit status.

    `variables` are for make; KDIR among them chooses the kernel tree when `kernels` names none. `options` are
    SCons' own. No modules for a kernel are a failure unless `allow_empty`. `results` gets an object for each module and
    kernel. `targets` are single targets (paths below the directory) to make in place of all modules.
    `cache` is the address of a shared cache, and `cache_key` the file of its key; "" for none.
    `compile_commands` is a file to write compile commands for editors to, by this build and the next ones. With
    `coverage` the modules are instrumented, and go to another place (`instrumented_place`). `traces` are files to write
    a trace of the build into.
    Raises `KbuildError`.
    """
    check_directory_name(directory)
    physical = directory.resolve()
    check_directory_name(physical)
    check_kbuild_file(physical)
    place = (out or physical / "build").absolute()
    place = instrumented_place(place) if coverage else place
    check_output_name(place)
    found = resolve(kernels, Need.TREE, variables=variables, environ=os.environ)
    trees = tuple(kernel.the_tree() for kernel in found)
    if not kernels and not found[0].by_kdir and "-s" not in options:
        complain(f"kbuildpy: {found[0].reason}")
    given = {**variables, **({"COVERAGE": "1"} if coverage else {})}
    below = [target_below(physical, word, base=physical) for word in targets]
    request = BuildRequest(physical, str(directory), place, trees, given, jobs, options, below, compile_commands)
    folders = output_folders(place, trees)
    request = request._replace(folders=folders, cache=cache, cache_key=cache_key, traces=traces)
    began_ns = time.time_ns()
    if not (request.dry or request.cleans):
        request.state.mkdir(parents=True, exist_ok=True)
    if not request.dry:
        # (SCons' notes of several kernels are one file)
        lock_output(place, create=not request.cleans)
    # (a note is of modules: where there may be none, or more is asked for, the graph tells)
    may_be_finished = _asks_for_modules_alone(request) and results is None and not allow_empty
    key = request.key(os.environ) if may_be_finished else ""
    if key and _is_finished(request, key):
        return 0
    take_pin()  # (neither compilers nor SCons need it)
    processors = os.cpu_count() or 1
    # (on one processor they would only be in the way)
    most = min(jobs, processors) if processors > 1 and _asks_for_modules_alone(request) else 0
    with early_compilers(physical, folders, most=most, place=place) as early:
        from kbuildpy.scons.run_standalone import run_scons  # (slow: SCons)

        return run_scons(request, allow_empty=allow_empty, results=results, key=key, began_ns=began_ns, early=early)


def _asks_for_modules_alone(request: BuildRequest) -> bool:
    """Whether `request` asks for no more than the modules."""
    # (a trace is of SCons' tasks: one of early compilers, or of a build that looks at files only, would be empty)
    return not (request.dry or request.cleans or request.targets or request.compile_commands or request.traces)


def _is_finished(request: BuildRequest, key: str) -> bool:
    """Whether nothing is left to do, as an earlier build of the same call has found; it is said as that one did."""
    build = find_finished(request.finished, key)
    if build is None or not _are_answered_alike(build.asked_again):
        return False
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    for name, text in build.printed:
        write(streams[name], text)
    return True


def _are_answered_alike(directories: Sequence[AskedAgain]) -> bool:
    """Whether the Kbuild files of `directories` still answer with the same plans."""
    if not directories:
        return True
    from kbuildpy.kbuild.answered_alike import is_answered_alike  # (slow, and for few directories)

    return all(is_answered_alike(item, os.environ) for item in directories)

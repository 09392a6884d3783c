# SPDX-License-Identifier: GPL-2.0-only
"""Runs SCons in this process, with an SConstruct of ours (`standalone.scons`), and reports the results."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SCons.Script.Main
from SCons.Script.SConscript import global_exports

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kbuild.single_targets import is_of_module
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.say import complain, say
from kbuildpy.scons import interrupts
from kbuildpy.scons.actions import of_os_error, print_error
from kbuildpy.scons.begin_session import begin_trace, session_of
from kbuildpy.scons.build_request import PROBES_FILE, BuildRequest
from kbuildpy.scons.cache import use_shared_cache
from kbuildpy.scons.cleaning import remove_empty_below
from kbuildpy.scons.declare_directory import begin_targets, declare_directory
from kbuildpy.scons.declare_targets import declare_targets
from kbuildpy.scons.find_project import find_plain_project
from kbuildpy.scons.group import Group
from kbuildpy.scons.keep_compile_commands import keep_compile_commands
from kbuildpy.scons.note_finished import RunInProgress
from kbuildpy.scons.outcomes import as_json, as_table, build_outcomes

if TYPE_CHECKING:
    from kbuildpy.scons.trace_build import TraceInProgress

_SCONSTRUCT = Path(__file__).resolve().parent / "standalone.scons"


class StandaloneBuild:
    """A build, filled while our SConstruct is read, which gets it with Import()."""

    request: BuildRequest
    """The call of `kbuildpy build`."""
    early: EarlyCompilers
    """What has compiled edited sources already."""
    began_ns: int
    """When the call began."""
    groups: list[Group]
    """The groups that were declared."""
    empty: list[KbuildError]
    """The reason for each kernel without modules."""
    refused: int
    """The exit status for a kernel for which nothing could be declared; 0 if there is no such kernel."""

    trace: TraceInProgress | None
    """Notes what happens when; None: nothing does."""

    def __init__(self, request: BuildRequest, early: EarlyCompilers, began_ns: int) -> None:
        self.request = request
        self.early = early
        self.began_ns = began_ns
        self.trace = None
        self.groups = []
        self.empty = []
        self.refused = 0

    @property
    def database(self) -> str | None:
        """The file of SCons' database; None for one in memory."""
        state = self.request.state
        return str(state / "sconsign") if state.is_dir() else None


def run_scons(
    request: BuildRequest,
    *,
    allow_empty: bool,
    results: list[dict[str, object]] | None,
    key: str,
    began_ns: int,
    early: EarlyCompilers,
) -> int:
    """Build (or clean) as `request` says; the exit status.

    No modules for a kernel are a failure unless `allow_empty`. `results` gets an object for each module and kernel.
    `key` is the call's, and `began_ns` when it began: a run with nothing to do is noted with them; "" for one that is
    not. `early` has compiled what was edited.
    """
    run = RunInProgress(request, key, began_ns=began_ns) if key else None
    if run is not None:
        atexit.register(run.end)  # (SCons' own, and the end of the session, come before)
    build = StandaloneBuild(request, early, began_ns)
    global_exports["build"] = build  # as SCons' Export() does
    os.chdir(request.directory)
    # (SCons puts the options in it before ours: -c and -n are not what this build was called with)
    os.environ.pop("SCONSFLAGS", None)
    sys.argv = ["scons", "-Q", "--no-site-dir", f"-j{request.jobs}", "-f", str(_SCONSTRUCT), *request.options]
    code: Any = 0
    try:
        SCons.Script.Main.main()
    except SystemExit as stop:
        if interrupts.ending_signal():
            return 128 + interrupts.ending_signal()
        code = stop.code
    finally:
        if run is not None:
            run.listen()
        _tell(build, results)
    # (an error before the build began has a status of its own)
    status = build.refused or _status(code)
    if build.trace is not None and not build.trace.end_trace():
        status = max(status, 1)
    status = status if request.cleans else max(status, _report_empty(build.empty, allowed=allow_empty))
    if run is not None:
        run.groups, run.succeeded = build.groups, status == 0
    return status


def declare(env: Any, build: StandaloneBuild) -> None:
    """Called by our SConstruct: one group for each kernel tree, and everything in it as the default target."""
    request = build.request
    several = len(request.trees) > 1
    session_of(env).builds_for_several = several
    session_of(env).early = build.early
    if request.traces:
        _begin_trace(env, build)
    if request.cache and not request.cleans:
        first = not (request.dry or any(folder.exists() for folder in request.folders))
        use_shared_cache(env, request.cache, key_file=request.cache_key, soon=first)
    targets: list[Any] = []
    for tree, folder in zip(request.trees, request.folders, strict=True):
        try:
            group = _declare(env, build, tree, folder, label=f"{folder.name}/" if several else "")
        except (KbuildError, OSError) as error:
            failure = of_os_error(error, where=request.directory) if isinstance(error, OSError) else error
            print_error(failure, whose=folder.name if several else "")
            build.refused = failure.status
            if "-k" in request.options and several:
                continue
            raise SystemExit(failure.status) from error
        build.groups.append(group)
        targets += group.default_targets()
    if not request.dry:
        _keep_compile_commands(build)
    # (SCons' message that it is up to date has this name)
    [alias] = env.Alias(request.named, targets)
    # (nothing depends on it; SCons would read all modules for its signature)
    alias.get_contents = bytes
    env.Default(alias)


def _begin_trace(env: Any, build: StandaloneBuild) -> None:
    try:
        begin_trace(session_of(env), build.request.traces, began_ns=build.began_ns)
    except (KbuildError, OSError) as error:
        failure = of_os_error(error, where="the trace") if isinstance(error, OSError) else error
        print_error(failure)
        build.refused = failure.status
        raise SystemExit(failure.status) from error
    build.trace = session_of(env).trace


def _keep_compile_commands(build: StandaloneBuild) -> None:
    try:
        keep_compile_commands(build.request, build.groups)
    except KbuildError as error:
        print_error(error)
        build.refused = error.status
        raise SystemExit(error.status) from error


def _declare(env: Any, build: StandaloneBuild, tree: KernelTree, place: Path, *, label: str) -> Group:
    request = build.request
    variables = {**request.variables, "KDIR": str(tree.objects)}
    variables.pop("KERNELRELEASE", None)
    session_of(env).use_tree(tree)
    probes = _declare_probes(env, request, place, variables)
    if request.targets and request.compile_commands is None and not any(map(is_of_module, request.targets)):
        group = begin_targets(env, request.directory, place, variables=variables, label=label)
    else:
        empty = build.empty.append
        group = declare_directory(env, request.directory, place, variables=variables, label=label, on_empty=empty)
    if request.targets:
        group.asked = declare_targets(group, request.targets, group.questions[0].ask)
    group.targets += probes
    return group


def _declare_probes(env: Any, request: BuildRequest, place: Path, variables: Mapping[str, Any]) -> list[Any]:
    """The node of the header with the answers to the probes of the directory, if it has any."""
    file = request.directory / PROBES_FILE
    if not file.is_file():
        return []
    from kbuildpy.scons.probed import add_probes_of  # (slow, and for directories with probes)

    return add_probes_of(file, env, find_plain_project(env, variables), place)


def _tell(build: StandaloneBuild, results: list[dict[str, object]] | None) -> None:
    """Print the results, and remove what cleaning leaves."""
    request = build.request
    shows_table = len(request.trees) > 1 and not (request.dry or request.cleans or "-s" in request.options)
    if shows_table or results is not None:
        outcomes = build_outcomes(request.trees, request.folders, build.groups)
        if shows_table:
            say("\n".join(as_table(outcomes)))
        if results is not None:
            results += as_json(outcomes)
    if request.cleans and not request.dry:
        _remove_empty(request.out, request.folders)


def _remove_empty(place: Path, folders: Sequence[Path]) -> None:
    """Remove what cleaning leaves: empty folders, and SCons' database once no target is left."""
    for folder in folders:
        remove_empty_below(folder)
    # (other files here may be sources)
    if place.is_dir() and not any((path / ".kbuildpy").exists() for path in place.iterdir()):
        shutil.rmtree(place / ".kbuildpy", ignore_errors=True)
        with suppress(OSError):
            place.rmdir()


def _status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        # SCons says 2 when a target failed; 2 is for wrong calls here.
        return 1 if code == 2 else code
    complain(code)
    return 1


def _report_empty(errors: Sequence[KbuildError], *, allowed: bool) -> int:
    """Print for which kernels there were no modules, and why where that is not `allowed`; the exit status."""
    for error in errors:
        if allowed:
            complain(f"kbuildpy: {error.message}")
        else:
            print_error(error)
    if not errors or allowed:
        return 0
    complain("  (with --allow-empty a build without modules succeeds)")
    return 1

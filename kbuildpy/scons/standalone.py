"""Builds a directory that has no SConstruct: SCons runs in this process, over a few lines of our own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file, check_output_name
from kbuildpy.kbuild.lock import lock_output
from kbuildpy.kernel.find import find_called_trees
from kbuildpy.say import complain, say
from kbuildpy.scons.outcomes import as_table, build_outcomes, module_results

_SCONSTRUCT = Path(__file__).resolve().parent / "standalone.scons"


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
) -> int:
    """Build every module of the Kbuild file in `directory` for `kernels`, into `out`/RELEASE; the exit status.

    `variables` are for make; KDIR among them chooses the kernel tree when `kernels` names none. `options` are
    SCons' own. No modules for a kernel are a failure unless `allow_empty`. `results` gets an object for each module and
    kernel. Raises `KbuildError`.
    """
    check_directory_name(directory)
    named = str(directory)
    directory = directory.resolve()
    check_directory_name(directory)
    check_kbuild_file(directory)
    place = (out or directory / "build").absolute()
    check_output_name(place)
    found = find_called_trees(kernels, variables, environ=os.environ)
    if not kernels and not found[0].by_kdir:
        complain(f"kbuildpy: {found[0].reason}")
    import SCons.Script
    import SCons.Script.Main

    from kbuildpy.scons import interrupts

    writes = not {"-n", "-c"}.intersection(options)
    state = place / ".kbuildpy"
    if writes:
        state.mkdir(parents=True, exist_ok=True)
    if "-n" not in options:
        lock_output(place, create=writes)  # (SCons' notes of several kernels are one file)
    # The SConstruct of ours finds what to build here; SCons offers no way to hand it values.
    request: dict[str, Any] = {
        "directory": directory,
        "named": named,
        "out": place,
        "trees": [item.tree for item in found],
        "variables": dict(variables),
        "state": str(state / "sconsign") if state.is_dir() else None,
        "empty": [],
        "goes_on": "-k" in options,
        "groups": [],
    }
    SCons.Script.KBUILDPY_REQUEST = request
    os.chdir(directory)
    sys.argv = ["scons", "-Q", "--no-site-dir", f"-j{jobs}", "-f", str(_SCONSTRUCT), *options]
    try:
        SCons.Script.Main.main()
    except SystemExit as stop:
        if interrupts.ending_signal():
            return 128 + interrupts.ending_signal()
        # (what was wrong before the build began has a status of its own)
        status = int(request.get("refused", 0)) or _status(stop.code)
    else:
        status = int(request.get("refused", 0))
    finally:
        if writes and len(found) > 1 and "-s" not in options:
            say("\n".join(as_table(build_outcomes([item.tree.release for item in found], request["groups"]))))
        if results is not None:
            results += module_results([item.tree.release for item in found], request["groups"])
        if "-c" in options and "-n" not in options:
            _remove_empty(place, [item.tree.release for item in found])
    return status if "-c" in options else max(status, _report_empty(request["empty"], allowed=allow_empty))


def _report_empty(errors: Sequence[KbuildError], *, allowed: bool) -> int:
    """Print for which kernels there were no modules, and why where that is not `allowed`; the exit status."""
    from kbuildpy.scons.actions import print_error

    for error in errors:
        if allowed:
            complain(f"kbuildpy: {error.message}")
        else:
            print_error(error)
    if not errors or allowed:
        return 0
    complain("  (--allow-empty: a build without modules is no failure)")
    return 1


def declare(env: Any, request: dict[str, Any]) -> None:
    """Called by our SConstruct: one group for each kernel tree, and everything in it as the default target."""
    from kbuildpy.scons.builders import declare_directory
    from kbuildpy.scons.session import Session

    session = Session.of(env)
    session.builds_for_several = several = len(request["trees"]) > 1
    targets: list[Any] = []
    for tree in request["trees"]:
        variables = {**request["variables"], "KDIR": str(tree.objects)}
        variables.pop("KERNELRELEASE", None)
        label = f"{tree.release}/" if several else ""
        session.use_tree(tree)
        try:
            group = declare_directory(
                env,
                request["directory"],
                request["out"] / tree.release,
                variables=variables,
                label=label,
                on_empty=request["empty"].append,
            )
        except KbuildError as error:
            from kbuildpy.scons.actions import print_error

            print_error(error, whose=tree.release if several else "")
            request["refused"] = error.status
            if request["goes_on"] and several:
                continue
            raise SystemExit(error.status) from error
        request["groups"].append(group)
        targets += group.default_targets()
    # (what SCons calls up to date)
    env.Default(env.Alias(request["named"], targets))


def _remove_empty(place: Path, releases: Sequence[str]) -> None:
    """Remove what cleaning leaves: empty folders, and SCons' notes once nothing is left that they tell of."""
    for release in releases:
        for folder, _, _ in os.walk(place / release, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    # (what else is here may be sources)
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

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy build` of a directory with a dkms.conf: for each kernel what that says, or why it leaves the kernel out.

A MAKE line that only calls Kbuild becomes a build of ours. Patches and scripts, and a MAKE line that does more, work in
a private copy of the sources below the output, for each kernel: `OUT/RELEASE/.dkms/NAME/VERSION/build`, as DKMS has it
below /var/lib/dkms.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.make_line import KbuildMake, kbuild_call
from kbuildpy.dkms.package_build import (
    apply_patches,
    built_file,
    copy_sources,
    end_of,
    note,
    run_kbuild,
    run_make,
    run_script,
)
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.dkms.tried import check_modules
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.result_object import result_object
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.output_folder import output_folders
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable
from kbuildpy.say import complain, say

CONF = "dkms.conf"

Build = Callable[[Path, Sequence[str], Path | None, Mapping[str, str]], int]
"""Builds a directory by its Kbuild file: its path, kernel trees, the output, variables; the exit status."""


@dataclass(frozen=True)
class DkmsBuild:
    """What a dkms.conf asks for, for one kernel."""

    tree: KernelTree
    conf: DkmsConf
    call: KbuildMake | None
    """What Kbuild is called with; None where MAKE does more."""
    copy: Path
    """Where the private copy of the sources goes, if one is needed."""
    folder: Path
    """Where its modules go."""

    @property
    def direct(self) -> bool:
        """Whether the sources can be built where they are."""
        return self.call is not None and not self.conf.patches and not self.conf.pre_build


def build_by_dkms(
    directory: Path,
    *,
    kernels: Sequence[str],
    out: Path | None,
    jobs: int,
    variables: Mapping[str, str],
    in_place_only: bool,
    build: Build,
    results: list[dict[str, object]] | None,
    quiet: bool,
) -> int:
    """Build `directory` for `kernels` as its dkms.conf says, into `out`/RELEASE; the exit status.

    `build` builds a directory by its Kbuild file. With `in_place_only` it does so for every kernel, because only the
    sources themselves can be asked for what is wanted. `results` gets an object for each module that was built
    otherwise. With `quiet` only warnings and errors are told. Raises `KbuildError`.
    """
    place = (out or directory / "build").absolute()
    chosen = {name: value for name, value in variables.items() if name not in ("KDIR", "KERNELRELEASE")}
    together: dict[tuple[Path, tuple[tuple[str, str], ...]], list[str]] = {}
    status = 0
    for item in _builds(directory, kernels, variables, place, results, quiet=quiet):
        if item.direct or in_place_only:
            where, given = _here(item, directory)
            key = where, tuple({**given, **chosen}.items())
            together.setdefault(key, []).append(str(item.tree.objects))
            continue
        try:
            made = _build_in_copy(item, directory, place, chosen, jobs=jobs, tell=_say_nothing if quiet else say)
        except KbuildError as error:
            complain(f"kbuildpy: error: {item.tree.release}: {error}")
            status = max(status, 1)
            made = []
        if results is not None:
            results += _as_json(item, made)
    for (where, given_words), trees in together.items():
        status = max(status, build(where, trees, place, dict(given_words)))
    return status


def _builds(
    directory: Path,
    kernels: Sequence[str],
    variables: Mapping[str, str],
    out: Path,
    results: list[dict[str, object]] | None,
    *,
    quiet: bool,
) -> list[DkmsBuild]:
    """What the dkms.conf in `directory` asks for, for each kernel that it does not leave out; the others are told, and
    are in `results`.

    Raises `KbuildError` when no kernel is left.
    """
    file = directory.resolve() / CONF
    found = resolve(kernels, Need.TREE, variables=variables, environ=os.environ)
    if not kernels and not found[0].by_kdir and not quiet:
        complain(f"kbuildpy: {found[0].reason}")
    builds, reasons = [], []
    trees = [kernel.the_tree() for kernel in found]
    for tree, folder in zip(trees, output_folders(out.absolute(), trees), strict=True):
        place = folder / ".dkms"
        kernel = ConfKernel(tree.release, os.uname().machine, tree.objects, distribution(), dkms_tree=place)
        conf = read_conf(file, kernel)
        if conf.excluded:
            reasons.append(conf.excluded)
            complain(f"kbuildpy: {tree.release}: left out by {directory / CONF}: {printable(conf.excluded)}")
            if results is not None:
                results.append(result_object(tree.release, skipped=conf.excluded))
            continue
        copy = place / conf.name / conf.version / "build"
        builds.append(DkmsBuild(tree, conf, kbuild_call(conf.make, tree=tree.objects, build=copy), copy, folder))
    if not builds:
        raise KbuildError(
            f"{directory}: its dkms.conf leaves out every kernel: {printable(reasons[-1])}",
            hint="--no-dkms builds the directory without its dkms.conf",
        )
    for name in builds[0].conf.unknown:
        complain(f"kbuildpy: warning: {directory / CONF}: {printable(name)} is no directive, and nothing reads it")
    return builds


def _build_in_copy(
    build: DkmsBuild,
    directory: Path,
    out: Path,
    variables: Mapping[str, str],
    *,
    jobs: int,
    tell: Callable[[str], None],
) -> list[Path]:
    """Build a copy of `directory`, and put the modules into its folder in `out`, with a modules.order; the modules.
    `tell` gets what is done.

    Raises `KbuildError`.
    """
    conf, place = build.conf, build.folder
    log = place / "make.log"
    place.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    copy_sources(directory, build.copy, without=out)
    note(log, f"kbuildpy: {conf.identity} for {build.tree.release}")
    apply_patches(conf, build.copy, log)
    if not run_script(conf, "pre_build", build.copy, log, {}):
        raise KbuildError(f"{conf.identity}: PRE_BUILD failed\n{end_of(log)}", hint=f"see {log}")
    if build.call is not None:
        below, given = _here(build, build.copy)
        run_kbuild(conf, below, build.tree, {**given, **variables}, log, jobs=jobs)
    else:
        tell(f"kbuildpy: {directory / CONF}: MAKE does more than call Kbuild: it is run as it stands, in a copy:")
        tell(f"  {printable(conf.make)}")
        run_make(conf, build.copy, log, release=build.tree.release, jobs=jobs, compiler="")
        if variables.get("CHECK", os.environ.get("CHECK")) != "0":
            check_modules(conf, [built_file(module, build.copy) for module in conf.modules], [], build.tree)
    names = [f"{module.built_in}{module.name}" for module in conf.modules]
    for module, name in zip(conf.modules, names, strict=True):
        target = place / f"{name}.ko"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built_file(module, build.copy), target)
        tell(f"  DKMS    {printable(str(target))}")
    (place / "modules.order").write_text("".join(f"{name}.o\n" for name in names))
    return [place / f"{name}.ko" for name in names]


def _say_nothing(text: str) -> None:
    pass


def _here(build: DkmsBuild, directory: Path) -> tuple[Path, dict[str, str]]:
    """The module directory and the variables of a MAKE line, for a build in `directory` in place of the copy."""
    if build.call is None:
        return directory, {}
    place = str(directory.resolve())
    here = {name: value.replace(str(build.copy), place) for name, value in build.call.variables.items()}
    return directory / build.call.below if build.call.below else directory, here


def _as_json(build: DkmsBuild, made: Sequence[Path]) -> list[dict[str, object]]:
    error = None if made else f"the build of {build.conf.identity} fails"
    names = [module.name for module in build.conf.modules]
    files: list[str | None] = [*map(str, made)] or [None for _ in names]
    return [
        result_object(build.tree.release, file, name.replace("-", "_"), built=bool(made), made=bool(made), error=error)
        for file, name in zip(files, names, strict=True)
    ]

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --with SETS`: a kernel with sanitizers or other options, and modules, built for each other."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.cli.kernel_options import images_of, line_of, make_kernel, set_names
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.check_paths import has_kbuild_file
from kbuildpy.kernel.module_files import find_modules, module_name
from kbuildpy.kernel_build.option_sets import kernel_parameters, options_of, read_option_sets
from kbuildpy.kernel_build.recipe import toolchain_of
from kbuildpy.kernel_build.requirements import missing_packages
from kbuildpy.kernel_build.wanted import Wanted
from kbuildpy.own_command import own_command
from kbuildpy.run import run
from kbuildpy.say import complain
from kbuildpy.similar import no_such_path
from kbuildpy.vm.qemu import require_programs


@dataclass(frozen=True)
class Prepared:
    """What was built for a run."""

    files: list[Path]
    """The modules."""
    kernels: list[str]
    """The releases of the kernels that they were built for."""
    append: tuple[str, ...]
    """Kernel parameters."""


def prepare(
    files: Sequence[Path], kernels: Sequence[str], words: Sequence[str], *, llvm: str, update: bool, quiet: bool
) -> Prepared:
    """Build a kernel with the sets of options in `words` (--with), and modules for it: a kernel for the line of each of
    `kernels` (words of -k; none: the default one's), with the options that the modules of `files` need.

    `files` are directories with a Kbuild file, or modules that were built of one. Raises `UsageError` for others,
    `KbuildError` for what cannot be built.
    """
    sets = set_names(words)
    chosen = read_option_sets(sets)
    places = [(_directory_of(file), file) for file in files]
    # (where these are missing, so is what builds kernels, as a rule)
    require_programs(more=lambda: missing_packages(toolchain_of("", llvm, chosen), options_of(chosen)))
    directories = list(dict.fromkeys(directory for directory, _ in places))
    found = Prepared([], [], kernel_parameters(sets))
    for line in dict.fromkeys(line_of([word]) for word in kernels) if kernels else [line_of([])]:
        wanted = Wanted(
            line=line,
            sets=sets,
            llvm=llvm,
            update=update,
            modules=images_of(_built_once(directories, kernels, quiet=quiet)),
        )
        _, tree = make_kernel(wanted, quiet=quiet)
        found.kernels.append(tree.release)
        for directory in directories:
            named = {file for place, file in places if place == directory}
            found.files.extend(_chosen(_build(directory, [tree.release], quiet=quiet), named))
    return found


def _chosen(built: Sequence[Path], named: Collection[Path]) -> list[Path]:
    """Of the modules that were built of a directory, those that are `named`; all where it is the directory that is."""
    names = {module_name(file.name) for file in named if not file.is_dir()}
    return [file for file in built if module_name(file.name) in names or len(names) < len(named)]


def _build(directory: Path, kernels: Sequence[str], *, quiet: bool) -> list[Path]:
    """Build `directory` for `kernels` (words of -k), and return its modules. Raises `KbuildError` where that fails.

    In a process of its own: SCons builds once in each.
    """
    words = [word for kernel in kernels for word in ("-k", kernel)]
    done = run(own_command("build", str(directory), *words, "--format", "json"), check=False)
    if done.returncode:
        raise KbuildError(f"{directory}: not built, so that there is nothing to run\n{done.error_text.strip()}")
    if done.error_text.strip() and not quiet:
        complain(done.error_text.rstrip())
    facts = [json.loads(line) for line in done.text.splitlines()]
    return [Path(os.path.relpath(fact["file"])) for fact in facts if fact.get("file")]


def _built_once(directories: Sequence[Path], kernels: Sequence[str], *, quiet: bool) -> list[Path]:
    """Modules of `directories` that were built for any kernel, or are built now for the usual one: what they import
    tells which options the kernel needs. None where there is no kernel to build them for."""
    found = []
    for directory in directories:
        modules = _newest(find_modules([directory]))
        if not modules:
            try:
                modules = _build(directory, kernels[:1], quiet=True)
            except KbuildError:
                # (the build for the small kernel tells the error, if it is one of the module)
                modules = []
        found += modules
    return found


def _newest(modules: Sequence[Path]) -> list[Path]:
    """Of modules with the same name, the one that was built last."""
    found: dict[str, Path] = {}
    for path in sorted(modules, key=lambda path: path.stat().st_mtime):
        found[path.name.partition(".")[0]] = path
    return list(found.values())


def _directory_of(file: Path) -> Path:
    """The directory that the module `file` is built of: DIR of DIR/x.ko and of DIR/build/RELEASE/x.ko."""
    if file.is_dir():
        if not has_kbuild_file(file):
            raise UsageError(f"{file}: no Kbuild file here, so that its modules cannot be built for a kernel of --with")
        return file
    if not file.is_file():
        raise no_such_path(file)
    parent = file.absolute().parent
    candidates = [parent, *([parent.parents[1]] if parent.parent.name == "build" else [])]
    for directory in candidates:
        if has_kbuild_file(directory):
            return directory
    raise UsageError(
        f"{file}: --with builds modules for another kernel, and there is no Kbuild file of this one in "
        f"{' or '.join(map(str, candidates))}",
        hint="name the module's directory: kbuildpy run DIR --with kasan",
    )

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy watch`: builds a directory again whenever one of its files changes, and runs a command on the modules."""

from __future__ import annotations

import argparse
import os
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.cli.shared_options import (
    add_jobs,
    add_kernels,
    add_quiet,
    add_verbose,
    job_count,
    named_path,
    split_words,
)
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file
from kbuildpy.kbuild.finished_build import FileState, file_state, noted_files
from kbuildpy.kbuild.sources import walk_sources
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.output_folder import output_folders
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.printable import printable
from kbuildpy.run import run as run_program
from kbuildpy.run import run_attached
from kbuildpy.say import say

EXAMPLES = (
    "kbuildpy watch",
    "kbuildpy watch DIR -k all W=1",
    "kbuildpy watch DIR -- run --test tests/probe.sh",
    "kbuildpy watch DIR -- check",
)

_COMMANDS = ("check", "info", "run")
"""The commands that can follow a build."""
_OF_A_KERNEL = ("check",)
"""Those of them that ask a kernel, which is the one that was built for."""
_POLL = 0.2
"""Seconds between two looks at the files of the directory."""
_REST = 5
"""Every so many looks, the kernel's files are looked at too: there are a thousand of them."""
_OF_EDITORS = re.compile(r"^[.#]|~$")
"""Hidden files, and those that editors keep beside a file."""
_NAMED = 3
"""Changed files that are named."""

States = dict[str, FileState]


@dataclass(frozen=True)
class Watch:
    """What is built, and what runs after it."""

    directory: Path
    out: Path
    build: Sequence[str]
    """The words of `kbuildpy build`."""
    command: Sequence[str]
    """The words of the command that follows; none: no command."""
    trees: Sequence[KernelTree]
    """The kernel trees that it is built for."""

    @property
    def tests(self) -> list[str]:
        """The files that the command names, such as tests."""
        return [path for path in map(os.path.abspath, self.command[1:]) if os.path.isfile(path)]  # noqa: PTH113


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy watch`."""
    parser.add_argument(
        "words", nargs="*", metavar="DIR | VAR=VALUE", help="the module directory (default: here), and variables"
    )
    add_kernels(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=named_path, help="the output directory (default: DIR/build)"
    )
    add_jobs(parser)
    parser.add_argument("-K", "--keep-going", action="store_true", help="build what can be built despite errors")
    add_quiet(parser, "print errors only", besides=["-s", "--silent"])
    add_verbose(parser, "print commands in full, as V=1")
    parser.epilog = (
        f"Behind -- stands a command of kbuildpy that runs after each build that succeeds ({', '.join(_COMMANDS)}): it "
        "gets the folder with the modules of each kernel."
    )


def run(args: argparse.Namespace) -> int:
    """Build, and build again with each change, until a signal ends it. Raises `KbuildError` once the directory is
    gone, `UsageError` for a call that no build could be made of."""
    paths, variables = split_words(args.words)
    if len(paths) > 1:
        raise UsageError(f"one directory at a time, not {len(paths)}: {', '.join(paths)}")
    directory = Path(paths[0] if paths else "").absolute()
    check_directory_name(directory.resolve())
    check_kbuild_file(directory.resolve())
    command = list(args.command or ())
    if args.command is not None and (not command or command[0] not in _COMMANDS):
        raise UsageError(
            f"{command[0] if command else '--'}: not a command for modules that were built",
            hint=f"behind -- stands one of {', '.join(_COMMANDS)}, with its options",
        )
    kernels = resolve(args.kernels, Need.TREE, variables=variables, environ=os.environ)
    out = (args.output or directory / "build").absolute()
    words = ["build", str(directory), f"-o{out}", *(f"-k{word}" for word in args.kernels)]
    words += [f"-j{job_count(args)}"] if job_count(args) else []
    words += [option for option, given in (("-K", args.keep_going), ("-q", args.quiet), ("-v", args.verbose)) if given]
    words += [f"{name}={value}" for name, value in variables.items()]
    _watch(Watch(directory, out, words, command, [kernel.the_tree() for kernel in kernels]), quiet=args.quiet)
    return 0


def _watch(watch: Watch, *, quiet: bool) -> None:
    while True:
        own = _own_states(watch)
        began = time.time_ns()
        _round(watch, quiet=quiet)
        # (a file that changed since may have been read before: it counts as changed)
        rest = {path: state if max(state[:2]) < began else None for path, state in _rest_states(watch).items()}
        if not quiet:
            say(f"kbuildpy: done in {(time.time_ns() - began) / 1e9:.1f} s; waiting for a change (Ctrl-C ends)")
        changed = _wait(watch, own, rest)
        if not quiet:
            shown = [printable(os.path.relpath(path, watch.directory)) for path in changed[:_NAMED]]
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            say(f"kbuildpy: {time.strftime('%H:%M:%S')} {', '.join(shown)}{more} changed")


def _round(watch: Watch, *, quiet: bool) -> None:
    """Build, and run the command if that succeeded."""
    began = time.monotonic()
    if _kbuildpy(watch.build):
        return
    if watch.command:
        name, *options = watch.command
        if not quiet:
            say(f"kbuildpy: built in {time.monotonic() - began:.1f} s; {name}")
        for tree, folder in zip(watch.trees, output_folders(watch.out, watch.trees), strict=True):
            kernel = ["-k", str(tree.objects)] if name in _OF_A_KERNEL else []
            _kbuildpy([name, str(folder), *kernel, *options])
    # With nothing to do, a build notes the files that it looks at.
    run_program(own_command(*watch.build), check=False)


def _kbuildpy(words: Sequence[str]) -> int:
    argv = own_command(*words)
    # (SIGTERM, so that it can end what it started)
    begin = partial(_end_with, os.getpid())
    return run_attached(argv, cwd=str(Path.cwd()), env=os.environ, begin=begin)


def _end_with(parent: int) -> None:
    end_with(parent, signal.SIGTERM)


def _wait(watch: Watch, own: States, rest: dict[str, FileState | None]) -> list[str]:
    """Wait until files differ from `own` and `rest`, and for a moment do not change any more; their paths."""
    looks, before = 0, own
    while True:
        time.sleep(_POLL)
        looks += 1
        now = _own_states(watch)
        changed = sorted(path for path in own.keys() | now.keys() if own.get(path) != now.get(path))
        if looks % _REST == 0:
            changed += sorted(path for path, state in rest.items() if file_state(path) != state)
        if changed and now == before:
            return changed
        before = now


def _own_states(watch: Watch) -> States:
    """The states of the files of the directory, and of those that the command names."""
    if not watch.directory.is_dir():
        raise KbuildError(f"{printable(str(watch.directory))}: the directory is gone", hint="the watch ends with it")
    files = (path for _, paths in walk_sources(watch.directory) for path in paths)
    own = (path for path in files if not _OF_EDITORS.search(path.rpartition("/")[2]))
    return {path: file_state(path) for path in (*own, *watch.tests)}


def _rest_states(watch: Watch) -> States:
    """The states of the files elsewhere that builds look at: those of the kernel."""
    places = (f"{watch.directory}/", f"{watch.directory.resolve()}/", f"{watch.out}/", f"{watch.out.resolve()}/")
    files = noted_files(watch.out / ".kbuildpy")
    return {path: file_state(path) for path in files if not path.startswith(places)}

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy check`: would a kernel load these modules, and if not, why?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from kbuildpy.cli.check_output import print_verdicts
from kbuildpy.cli.parameters import add_params, read_params, words_of
from kbuildpy.cli.shared_options import (
    add_enforcement,
    add_format,
    add_jobs,
    add_kernels,
    add_quiet,
    add_verbose,
    job_count,
    named_path,
)
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.install.rivals import rival_sentence
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.depmod_order import installed_modules
from kbuildpy.kernel.module_files import find_modules, module_name, no_modules_below
from kbuildpy.kernel.resolve import resolve, resolve_release
from kbuildpy.kernel.words import OWN
from kbuildpy.loader.check import Check, Result, built_for, check_files, unreadable
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.loader.kernels.keys import with_certificates
from kbuildpy.printable import printable

EXAMPLES = (
    "kbuildpy check hello.ko -k all",
    "kbuildpy check BUILD -k own --format json",
    "kbuildpy check --installed 6.1.0-56-amd64",
    "kbuildpy check BUILD -k all --format html > check.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy check`."""
    parser.epilog = (
        "Modules that are checked together may need each other. Two modules that export the same symbol "
        "exclude each other: each is checked by itself, and the report names both. Exit status: 0 every "
        "kernel would load every module; 1 one would not; 2 "
        "the call was wrong."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE | DIR", type=named_path, help="modules, or directories of them"
    )
    add_kernels(
        parser,
        "a kernel tree's path, an image's path, a release, a pattern of releases, `running`, `all`, `fetched`, or "
        "`own`: each module by the kernel that it was built for (default: KDIR of the environment, else the running "
        "kernel, else the newest one installed)",
    )
    add_params(parser, whose="of all")
    parser.add_argument(
        "--installed",
        metavar="RELEASE",
        help="check all modules of /lib/modules/RELEASE (or of such a directory) with that kernel; of several "
        "modules of one name, the one that modprobe takes",
    )
    parser.add_argument("--script", metavar="FILE", type=named_path, help="run a script of insmod, rmmod and the like")
    add_enforcement(parser)
    parser.add_argument(
        "--blacklist", action="append", default=[], metavar="NAME", help="the kernel runs with module_blacklist=NAME"
    )
    add_jobs(parser)
    add_verbose(parser, "also print the memory place of each section")
    add_quiet(parser, "print only modules that would be refused")
    add_format(
        parser,
        "text (default; a table for several kernels), one JSON object per line, or a document of all: a page of HTML, "
        "SARIF or JUnit",
        formats=("text", "json", "html", "sarif", "junit"),
    )


def run(args: argparse.Namespace) -> int:
    """Print a verdict for each file and kernel; 0 if all are accepted."""
    jobs = job_count(args)
    _check_call(args)
    if args.script is not None:
        from kbuildpy.cli.check_script import check_script  # (slow, and seldom)

        return check_script(args, _kernels(args, args.kernels))
    files = find_modules(args.files)
    if args.files and not files:
        raise no_modules_below(args.files)
    words = args.kernels
    if args.installed is not None:
        directory = _installed_directory(args.installed)
        files += _installed_files(directory)
        words = words or [directory.resolve().name]
    accepted = print_verdicts(
        _results(args, files, words, jobs), len(files), format=args.format, quiet=args.quiet, verbose=args.verbose
    )
    return 0 if accepted else 1


def _check_call(args: argparse.Namespace) -> None:
    """Raises `UsageError` for arguments that exclude each other."""
    if args.script is None and not args.files and args.installed is None:
        raise UsageError("nothing to check", hint="name modules, directories of them, --installed or a --script")
    if args.script is not None and args.installed is not None:
        raise UsageError("--installed and --script: remove one of the two")
    if OWN in args.kernels and (len(args.kernels) > 1 or args.script is not None):
        raise UsageError(
            "-k own cannot be combined with other kernels or --script",
            hint="name the kernels, or use -k all",
        )
    if args.script is None:
        return
    if args.files or args.params:
        raise UsageError("--script names modules and parameters itself: leave out FILE and --params")
    if args.format not in ("text", "json"):
        raise UsageError(f"--script does not support --format {args.format}", hint="use --format text or json")


def _installed_directory(word: str) -> Path:
    """The directory that `--installed` names: a path, or a release."""
    directory = Path(word) if "/" in word or word in (".", "..") else Path("/lib/modules", word)
    if not word or not directory.is_dir():
        raise UsageError(f"--installed {word}: {directory} is no directory", hint="see /lib/modules")
    return directory


def _installed_files(directory: Path) -> list[Path]:
    """The modules below `directory` that modprobe would take. Prints which modules hide others of the same name."""
    release = directory.resolve().name
    found = []
    for module in installed_modules(directory, release):
        if len(module.paths) > 1:
            sentence = rival_sentence(module.name, module.paths, module.taken)
            print(f"kbuildpy: {printable(sentence)}", file=sys.stderr)
        if module.unlisted:
            print(
                f"kbuildpy: {printable(module.paths[0])}: modprobe does not find it before this runs: depmod {release}",
                file=sys.stderr,
            )
        found.append(directory / module.file)
    if not found:
        raise UsageError(f"no modules below {directory}")
    return found


def _results(
    args: argparse.Namespace, files: Sequence[Path], words: Sequence[str], jobs: int
) -> Iterator[tuple[Path, Result]]:
    """The result of each of `files` with the kernels that `words` (`-k`) name."""
    parameters = _parameters(args.params, files)
    if words != [OWN]:
        return check_files(Check(tuple(files), tuple(_kernels(args, words)), parameters), jobs=jobs)
    groups, silent = built_for(files)
    checks = []
    # (all kernels are opened before the first verdict is printed)
    for release, group in groups.items():
        try:
            chosen = resolve_release(release, Need.EITHER)
        except KbuildError as error:
            silent += [(file, [unreadable(file, release, _of_file(file, error))]) for file in group]
        else:
            checks.append(Check(tuple(group), tuple(_open(args, [chosen])), parameters))
    return chain(silent, chain.from_iterable(check_files(check, jobs=jobs) for check in checks))


def _of_file(file: Path, error: KbuildError) -> KbuildError:
    return KbuildError(f"{file}: {error.message}", hint=error.hint)


def _kernels(args: argparse.Namespace, words: Sequence[str]) -> list[LoaderKernel]:
    """The kernels that `words` (`-k`) name. Prints which kernel was taken if no option named one."""
    chosen = resolve(words, Need.EITHER, environ=os.environ, more_words=(OWN,))
    for item in chosen:
        if not words and not item.by_kdir:
            print(f"kbuildpy: {printable(item.reason)}", file=sys.stderr)
    return _open(args, chosen)


def _open(args: argparse.Namespace, chosen: Iterable[ChosenKernel]) -> list[LoaderKernel]:
    """The `chosen` kernels, started as `args` say."""
    kernels = []
    for item in chosen:
        kernel = replace(
            loader_kernel(item, partial(ask_module_facts, environ=os.environ)),
            sig_enforce=args.sig_enforce,
            lockdown=args.lockdown,
            blacklist=tuple(args.blacklist),
        )
        try:
            kernels.append(with_certificates(kernel, args.cert))
        except KbuildError as error:
            raise UsageError(f"--cert: {error.message}", hint=error.hint) from error
    return kernels


def _parameters(given: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """Parameters by module name."""
    names = list(dict.fromkeys(module_name(file.name) for file in files))
    found = read_params(given, names)
    return {name: words_of(name, found) for name in names} if found else {}

"""`kbuildpy check`: would a kernel load these modules, and if not, why?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.cli.parameters import add_params, read_params, words_of
from kbuildpy.cli.progress import Say, with_bar
from kbuildpy.cli.words import add_format, add_jobs, add_kernels, add_quiet, add_verbose, job_count, named_path
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.printable import printable, printable_error

if TYPE_CHECKING:
    from kbuildpy.loader.check import Check, Result
    from kbuildpy.loader.kernel import LoaderKernel
    from kbuildpy.loader.verdict import Verdict

_OWN = "own"

EXAMPLES = (
    "kbuildpy check hello.ko -k all",
    "kbuildpy check BUILD -k own --format json",
    "kbuildpy check --installed 6.1.0-56-amd64",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy check`."""
    parser.epilog = (
        "Modules that are named together may need each other; of those that cannot be loaded beside each other this is "
        "said, and each is judged by itself. Exit status: 0 every kernel would load every module; 1 one would not; 2 "
        "the call was wrong."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE | DIR", type=named_path, help="modules, or directories of them"
    )
    add_kernels(
        parser,
        "a kernel tree's path, an image's path, a release, `running`, `all`, or `own`: each module by the kernel that "
        "it was built for (default: the running kernel, else the newest one installed)",
    )
    add_params(parser, whose="of all")
    parser.add_argument(
        "--installed",
        metavar="RELEASE",
        help="all modules of /lib/modules/RELEASE (or of such a directory), by that kernel; tells which of several of "
        "one name modprobe takes",
    )
    parser.add_argument("--script", metavar="FILE", type=named_path, help="run a script of insmod, rmmod and the like")
    parser.add_argument("--sig-enforce", action="store_true", help="the kernel runs with module.sig_enforce=1")
    parser.add_argument("--lockdown", action="store_true", help="the kernel is locked down (Secure Boot)")
    parser.add_argument(
        "--cert",
        action="append",
        default=[],
        metavar="FILE",
        type=named_path,
        help="certificates that are enrolled there",
    )
    parser.add_argument(
        "--blacklist", action="append", default=[], metavar="NAME", help="the kernel runs with module_blacklist=NAME"
    )
    add_jobs(parser)
    add_verbose(parser, "say also where each section goes")
    add_quiet(parser, "print only what would not be loaded")
    add_format(
        parser,
        "in words (default; a table for several kernels), one JSON object per line, or a document",
        formats=("text", "json", "sarif", "junit"),
    )


def run(args: argparse.Namespace) -> int:
    """Print a verdict for each file and kernel; 0 if all are accepted."""
    jobs = job_count(args)
    if args.script is None and not args.files and args.installed is None:
        raise UsageError("nothing to check", hint="name modules, directories of them, --installed or a --script")
    from kbuildpy.signing.walk import find_modules

    files = find_modules(args.files)
    if args.installed is not None:
        files += _installed(args)
    if args.files and not files:
        raise UsageError(f"no modules below {', '.join(map(str, args.files))}")
    if _OWN in args.kernels and (len(args.kernels) > 1 or args.script is not None):
        raise UsageError("-k own: by itself, and for files only", hint="name the kernels, or `all`")
    if args.script is not None:
        return _run_script(args, _kernels(args))
    from kbuildpy.loader.check import check_files
    from kbuildpy.loader.exclusions import with_exclusions

    checks, silent = _checks(args, files)
    results = chain(silent, chain.from_iterable(check_files(check, jobs=jobs) for check in checks))
    shown, say = with_bar(results, len(files), quiet=args.quiet)
    rows: list[Sequence[Verdict]] = []
    printed = 0
    for _, row in shown:
        rows.append(row)
        if not row[0].readable:
            say(f"kbuildpy: {printable_error(row[0].reason or '', row[0].hint)}", error=True)
        # (what exports something may exclude what comes later, and its lines wait for that)
        if args.format == "json" and printed == len(rows) - 1 and not any(verdict.exports for verdict in row):
            _print_json(args, row, say)
            printed += 1
    rows = [*with_exclusions(rows)]
    for row in rows[printed:] if args.format == "json" else ():
        _print_json(args, row, say)
    _print(args, rows)
    return 0 if all(verdict.accepted for row in rows for verdict in row) else 1


def _print_json(args: argparse.Namespace, row: Sequence[Verdict], say: Say) -> None:
    for verdict in row:
        if not (args.quiet and verdict.accepted):
            say(json.dumps(verdict.to_json()))


def _installed(args: argparse.Namespace) -> list[Path]:
    """The modules of `--installed` that modprobe would take; the kernel is theirs where none is named."""
    from kbuildpy.install.rivals import rival_sentence
    from kbuildpy.kernel.depmod_order import indexed_paths, modules_by_name, search_order

    if args.script is not None:
        raise UsageError("--installed and --script: one of both")
    directory = Path(args.installed) if "/" in args.installed else Path("/lib/modules", args.installed)
    if not args.installed or not directory.is_dir():
        raise UsageError(f"--installed {args.installed}: {directory} is no directory", hint="see /lib/modules")
    release = directory.resolve().name
    args.kernels = args.kernels or [release]
    indexed, order = indexed_paths(directory), search_order(release)
    found = []
    for name, paths in modules_by_name(directory).items():
        taken = (indexed or {}).get(name) or order.winner(paths)
        if len(paths) > 1:
            print(f"kbuildpy: {printable(rival_sentence(name, paths, taken))}", file=sys.stderr)
        if indexed is not None and name not in indexed:
            print(
                f"kbuildpy: {printable(paths[0])}: modprobe does not find it before this runs: depmod {release}",
                file=sys.stderr,
            )
        found.append(directory / (taken if taken in paths else paths[0]))
    if not found:
        raise UsageError(f"no modules below {directory}")
    return found


def _print(args: argparse.Namespace, rows: Sequence[Sequence[Verdict]]) -> None:
    verdicts = [verdict for row in rows for verdict in row]
    if args.format == "sarif":
        from kbuildpy.loader.reports.sarif import as_sarif

        print(as_sarif(verdicts))
    elif args.format == "junit":
        from kbuildpy.loader.reports.junit import as_junit

        print(as_junit(verdicts))
    elif args.format == "text":
        from kbuildpy.loader.reports.describe import as_matrix, as_text

        several = len(rows[0]) > 1
        if several and not args.quiet:
            print(as_matrix(rows))
        many = len(verdicts) > 1 and not args.verbose
        accepted_too = not args.quiet and (args.verbose or not several)
        for verdict in verdicts:
            # (an unreadable file was named while it was tried)
            if accepted_too if verdict.accepted else verdict.readable:
                print(as_text(verdict, verbose=args.verbose, brief=many))
        if len(verdicts) > 1:
            accepted = sum(verdict.accepted for verdict in verdicts)
            print(f"{accepted} of {len(verdicts)} accepted", file=sys.stderr)


def _checks(args: argparse.Namespace, files: Sequence[Path]) -> tuple[list[Check], list[tuple[Path, Result]]]:
    """What is to be checked by which kernels, and the results of files that do not tell theirs."""
    from kbuildpy.loader.check import Check, built_for

    parameters = _parameters(args.params, files)
    groups, silent = built_for(files) if args.kernels == [_OWN] else ({"": [*files]}, [])
    checks = [Check(tuple(group), tuple(_kernels(args, own=release)), parameters) for release, group in groups.items()]
    return checks, silent


def _kernels(args: argparse.Namespace, *, own: str = "") -> list[LoaderKernel]:
    """The kernels that `args` name, or the one whose release modules say that they were built for."""
    from kbuildpy.kbuild.ask_module_facts import ask_module_facts
    from kbuildpy.loader.kernels.keys import with_certificates
    from kbuildpy.loader.kernels.open import open_kernels

    words = [own] if own else args.kernels
    opened = open_kernels(
        words,
        partial(ask_module_facts, environ=os.environ),
        kdir=os.environ.get("KDIR"),
        kernelrelease=os.environ.get("KERNELRELEASE"),
        paths=not own,
    )
    kernels = []
    for item in opened:
        if not words and not os.environ.get("KDIR"):
            print(f"kbuildpy: {printable(item.reason)}", file=sys.stderr)
        kernel = replace(
            item.kernel, sig_enforce=args.sig_enforce, lockdown=args.lockdown, blacklist=tuple(args.blacklist)
        )
        try:
            kernels.append(with_certificates(kernel, args.cert))
        except KbuildError as error:
            raise UsageError(f"--cert: {error.message}", hint=error.hint) from error
    return kernels


def _parameters(given: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """Parameters by module name."""
    from kbuildpy.kernel.own_modules import module_name

    names = list(dict.fromkeys(module_name(file.name) for file in files))
    found = read_params(given, names)
    return {name: words_of(name, found) for name in names} if found else {}


def _run_script(args: argparse.Namespace, kernels: Sequence[LoaderKernel]) -> int:
    """Print what comes of each step of the script with each kernel; 0 if all steps are done."""
    from kbuildpy.loader.lifecycle.script import read_script, run_script
    from kbuildpy.loader.lifecycle.step import as_text

    if args.files or args.params:
        raise UsageError("--script loads what it names, with the parameters that it names: no FILE and no --params")
    if args.format not in ("text", "json"):
        raise UsageError(f"--script: there is no --format {args.format}", hint="--format text or json")
    try:
        text = args.script.read_text(errors="surrogateescape")
        read_script(text)
    except OSError as error:
        raise UsageError(f"{args.script}: {error.strerror}") from error
    except KbuildError as error:
        raise UsageError(f"{args.script}: {error.message}", hint=error.hint) from error
    failed = 0
    for kernel in kernels:
        if len(kernels) > 1 and args.format == "text":
            print(f"# {kernel.release}")
        for step in run_script(text, kernel, args.script.parent):
            failed += not step.done
            if args.format == "json":
                print(json.dumps({"kernel": kernel.release, **step.to_json()}))
            elif not (args.quiet and step.done):
                print(as_text(step))
    return 1 if failed else 0

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy report`: one archive with what is known of a failure, without secrets and private paths."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path

from kbuildpy import cli
from kbuildpy.cli.shared_options import add_quiet, named_path, require_folder, split_words
from kbuildpy.doctor.diagnosis import diagnose
from kbuildpy.doctor.look import ThisMachine
from kbuildpy.doctor.needs_of_commands import PARTS
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.printable import printable
from kbuildpy.report.gather import ReportSubject, gather
from kbuildpy.report.last_failure import Failure, last_failures
from kbuildpy.report.private import private_facts
from kbuildpy.report.recorded_run import RecordedRun, record
from kbuildpy.report.redact import Redactor
from kbuildpy.report.report_file import ReportFile, archive_of

EXAMPLES = (
    "kbuildpy report -- build DIR -k 6.1.0-56-amd64",
    "kbuildpy report --last -o report.tar.xz",
    "kbuildpy report --include dmesg.txt --yes -- run drv.ko",
)

_TREES = 3
"""Kernel trees that a report tells of, at most."""
_OF_DIRECTORY = ("build", "explain", "install", "lint", "watch")
"""Commands that work in the current directory if they are told no other one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy report`."""
    parser.epilog = (
        "`-- COMMAND ...`, as the last words, is a command of kbuildpy, or `scons ...`, which is run and recorded. "
        "Without it, and with --last, the report has the notes of the last commands that failed. Secrets, names of the "
        "user and the host, and paths that are not the system's are replaced; what is in the report is shown before it "
        "is written. Exit status: 0 the report is written (or shown, with -n), whatever became of COMMAND; 1 it is "
        "not; 2 the call was wrong."
    )
    parser.add_argument("--last", action="store_true", help="tell of the last commands that failed, and run none")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=named_path, help="(default: kbuildpy-report-TIME.tar.xz)"
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="FILE",
        type=named_path,
        help="add a file: a text is redacted, too; another one that names this machine's user or paths is refused",
    )
    parser.add_argument("--as-is", action="store_true", help="add the files of --include without a change")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print all of the report, and write nothing")
    parser.add_argument("--yes", action="store_true", help="write it without a question")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    add_quiet(parser, "do not list what is in it, with --yes")


def run(args: argparse.Namespace) -> int:
    """Run the command, gather the report, show what is in it, and write it."""
    words: list[str] = args.command or []
    if args.command is not None and not words:
        raise UsageError("no command behind --", hint="kbuildpy report -- build DIR")
    if words and words[0] not in (*cli.COMMANDS, "scons"):
        raise UsageError(f"{words[0]}: no command of kbuildpy, and not scons", hint="kbuildpy report -- build DIR")
    if words and words[0] == "report":
        raise UsageError("a report of a report")
    if words and args.last:
        raise UsageError("--last runs no command", hint="leave one of the two out")
    if args.as_is and not args.include:
        raise UsageError("--as-is belongs to --include")
    output = args.output or Path(time.strftime("kbuildpy-report-%Y%m%d-%H%M%S.tar.xz"))
    require_folder(output)
    failures = tuple(last_failures()) if not words else ()
    if args.last and not failures:
        raise KbuildError("no failure is noted", hint="run the command again: kbuildpy report -- COMMAND ...")
    recorded = record(words) if words else None
    subject, folders = _subject(words, recorded, failures)
    redactor = Redactor(private_facts(folders=folders))
    files = gather(subject, redactor, include=args.include, as_is=args.as_is)
    if args.dry_run:
        _show(files)
        return 0
    if not (args.yes and args.quiet):
        _list(files, redactor)
    if not args.yes and not _agreed(output, files):
        print("nothing is written", file=sys.stderr)
        return 1
    write_new([NewFile(output, archive_of(files), 0o600)], force=args.force)
    print(printable(str(output)))
    if failures and not failures[0].message and not args.quiet:
        again = failures[0].command.removeprefix("kbuildpy ")
        say = f"the last failure's output is not in the notes; to record it: kbuildpy report -- {again}"
        print(printable(f"kbuildpy: {say}"), file=sys.stderr)
    return 0


def _subject(
    words: Sequence[str], recorded: RecordedRun | None, failures: tuple[Failure, ...]
) -> tuple[ReportSubject, dict[str, str]]:
    """What the report is about, and the directories that keep their names in it, with words for them."""
    directory, kernels, variables = _about(words)
    with suppress(KbuildError, OSError):
        found = resolve(kernels, Need.TREE, variables=variables, environ=os.environ)
        trees = tuple(kernel.tree for kernel in found if kernel.tree is not None)[:_TREES]
        return _with(recorded, failures, trees, directory, variables)
    return _with(recorded, failures, (), directory, variables)


def _with(
    recorded: RecordedRun | None,
    failures: tuple[Failure, ...],
    trees: tuple[KernelTree, ...],
    directory: Path | None,
    variables: dict[str, str],
) -> tuple[ReportSubject, dict[str, str]]:
    machine = ThisMachine()
    diagnoses = tuple(diagnose(name, machine).summary() for name in PARTS)
    rest = {name: value for name, value in variables.items() if name not in ("KDIR", "KERNELRELEASE")}
    subject = ReportSubject(recorded, failures, trees, directory, rest, diagnoses)
    folders = {str(Path.cwd()): "directory"}
    for number, tree in enumerate(trees):
        for path in (tree.objects, tree.source):
            # (of the system's own places the paths tell something, and nothing private)
            if not str(path).startswith(("/usr/", "/lib/")):
                folders[str(path)] = f"kernel-{number + 1}"
    if directory is not None:
        folders |= {str(directory.absolute()): "module", str(directory.resolve()): "module"}
    return subject, folders


def _about(words: Sequence[str]) -> tuple[Path | None, list[str], dict[str, str]]:
    """The module directory, the words of -k and the variables of a call. Nothing for a call that is wrong."""
    if not words or words[0] == "scons":
        return None, [], {}
    try:
        with redirect_stderr(StringIO()):
            args = cli._parse(words)
        named = [str(word) for word in (getattr(args, "words", None) or getattr(args, "files", None) or ())]
        paths, variables = split_words(named)
    except (SystemExit, KbuildError):
        return None, [], {}
    kernels = [str(word) for word in getattr(args, "kernels", ())]
    folder = next((Path(path) for path in paths if Path(path).is_dir()), None)
    if folder is None and words[0] in _OF_DIRECTORY:
        folder = Path()
    return folder, kernels, variables


def _list(files: Sequence[ReportFile], redactor: Redactor) -> None:
    print("The report has:")
    for file in files:
        note = f"  ({file.note})" if file.note else ""
        print(printable(f"  {len(file.contents):>9,}  {file.name}{note}"))
    counts = ", ".join(f"{count} times <{word}>" for word, count in sorted(redactor.counts.items()) if count)
    print(f"Replaced: {counts or 'nothing'}. -n prints all of it.", flush=True)


def _show(files: Sequence[ReportFile]) -> None:
    for file in files:
        print(printable(f"==> {file.name} <=="))
        if b"\0" in file.contents:
            print(f"({len(file.contents)} bytes, {file.note})")
            continue
        for line in file.contents.decode(errors="replace").splitlines():
            print(printable(line))


def _agreed(output: Path, files: Sequence[ReportFile]) -> bool:
    if not os.isatty(0):
        raise UsageError("nobody can be asked here", hint="--yes writes the report, -n prints all of it")
    while True:
        try:
            answer = input(printable(f"Write {output}? [y]es, [s]how all of it, [n]o: ")).strip().lower()
        except EOFError:
            print()
            return False
        if answer in ("y", "yes"):
            return True
        if answer in ("s", "show"):
            _show(files)
        elif answer in ("n", "no", ""):
            return False

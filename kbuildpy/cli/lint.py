# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy lint`: checkers over the sources of a directory's modules, with the kernel's own flags."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kbuildpy.cli.explain import directory_and_objects
from kbuildpy.cli.progress import with_bar
from kbuildpy.cli.shared_options import add_format, add_jobs, add_kernels, add_quiet, job_count, named_path, split_words
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file
from kbuildpy.kbuild.evaluation import Evaluation, evaluate
from kbuildpy.kbuild.namespace import leave
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.checkers import CHECKERS, USUAL
from kbuildpy.lint.choose import KernelScripts, read_wishes
from kbuildpy.lint.finding import LEVELS
from kbuildpy.lint.lint_objects import LintSettings, lint_objects
from kbuildpy.lint.printer import LintPrinter
from kbuildpy.lint.sarif import read_baseline
from kbuildpy.lint.source_checker import SourceChecker, program_words
from kbuildpy.lint.subjects import ASKED_WITH, LintSubject, lint_subjects
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.similar import did_you_mean, no_such_path

EXAMPLES = (
    "kbuildpy lint DIR",
    "kbuildpy lint DIR --checker sparse --checker fanalyzer --sarif lint.sarif",
    "kbuildpy lint DIR drv/core.c --checker cc W=12",
    "kbuildpy lint DIR --checker all --baseline lint.sarif --fail-on warning",
    "kbuildpy lint --list",
)


class LintCall(NamedTuple):
    """What a call of the command asks for."""

    directory: Path
    """The module directory (physical)."""
    objects: frozenset[str]
    """The objects below it that are checked; none stands for all."""
    settings: LintSettings
    """How they are checked."""
    variables: Mapping[str, str]
    """The variables for make."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy lint`."""
    parser.epilog = (
        "Each checker sees the sources with the words of Kbuild's own commands. Nothing is built, and nothing is "
        "written among the sources. Findings in kernel headers are left out, unless they are errors. Exit status: 0 "
        "all checkers ran; 1 one did not run to its end, or --fail-on says so; 2 the call was wrong."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR | SOURCE | VAR=VALUE",
        help="the module directory (default: here), and sources or objects in it (default: those of all modules)",
    )
    add_kernels(parser)
    parser.add_argument(
        "--checker",
        action="append",
        default=[],
        metavar="NAME[=PROGRAM]",
        dest="checkers",
        help="a checker, or `all` that can run here; may repeat (default: cc, fanalyzer, sparse)",
    )
    parser.add_argument("--list", action="store_true", help="list the checkers, and do nothing else")
    parser.add_argument("--sarif", metavar="FILE", type=named_path, help="write the findings to this file as SARIF")
    parser.add_argument(
        "--baseline", metavar="FILE", type=named_path, help="leave out findings that this SARIF file of kbuildpy has"
    )
    parser.add_argument(
        "--fail-on",
        choices=LEVELS,
        metavar="LEVEL",
        help="exit with 1 for a finding of this level: error, warning, note",
    )
    parser.add_argument("--kernel-headers", action="store_true", help="tell also what is found in kernel headers")
    parser.add_argument(
        "--scripts",
        metavar="DIR",
        type=named_path,
        help="the folder scripts/ of kernel sources, for checkpatch and coccinelle (default: the tree's, else the one "
        "in an installed linux-source package)",
    )
    parser.add_argument(
        "--cocci",
        action="append",
        default=[],
        metavar="FILE | DIR",
        type=named_path,
        help="semantic patches for coccinelle, in place of the kernel's; may repeat",
    )
    add_jobs(parser)
    add_quiet(parser, "print findings only")
    add_format(
        parser,
        "text (default: lines as compilers print them), one JSON object for each finding, or a SARIF document",
        formats=("text", "json", "sarif"),
    )


def run(args: argparse.Namespace) -> int:
    """Run checkers over a directory's sources for one kernel or several; the exit status."""
    if args.list:
        _print_checkers()
        return 0
    call = _read_call(args)
    found = resolve(args.kernels, Need.TREE, variables=call.variables, environ=os.environ)
    if not args.kernels and not found[0].by_kdir and not args.quiet:
        complain(f"kbuildpy: {found[0].reason}")
    trees = [kernel.the_tree() for kernel in found]
    show = partial(with_bar, quiet=args.quiet, unit=" runs")
    printer = LintPrinter(args.format, quiet=args.quiet, several=len(trees) > 1, show=show)
    for tree in trees:
        _check(call, tree, printer)
    printer.end(args.sarif)
    return 1 if printer.failed or printer.has_found(args.fail_on) else 0


def _read_call(args: argparse.Namespace) -> LintCall:
    """Raises `UsageError` for a wrong call."""
    jobs = job_count(args) or os.cpu_count() or 1
    paths, variables = split_words(args.words)
    wrong = next((name for name in ("C", "CHECK") if name in variables), "")
    if wrong:
        raise UsageError(
            f"{wrong}={variables[wrong]}: of a build", hint="--checker NAME[=PROGRAM] chooses checkers here"
        )
    if args.sarif is not None and not args.sarif.absolute().parent.is_dir():
        raise UsageError(f"{args.sarif.parent}: no such directory", hint="--sarif FILE names the file")
    for path in (*args.cocci, *([args.scripts] if args.scripts else [])):
        if not path.exists():
            raise no_such_path(path)
    directory, objects = _directory_and_objects(paths)
    settings = LintSettings(
        read_wishes(args.checkers),
        KernelScripts(args.scripts and args.scripts.resolve(), tuple(path.resolve() for path in args.cocci)),
        read_baseline(args.baseline) if args.baseline else frozenset(),
        args.kernel_headers,
        jobs,
    )
    return LintCall(directory, objects, settings, variables)


def _directory_and_objects(paths: Sequence[str]) -> tuple[Path, frozenset[str]]:
    """The module directory (physical), and the objects below it that the call names."""
    if paths and (len(paths) > 1 or paths[0].endswith((".c", ".S", ".o"))):
        if not paths[0].endswith((".c", ".S", ".o")):
            check_directory_name(Path(paths[0]))
        directory, objects = directory_and_objects(paths)
        return directory, frozenset(objects)
    named = Path(*paths)
    check_directory_name(named)
    directory = named.resolve()
    check_directory_name(directory)
    check_kbuild_file(directory)
    return directory, frozenset()


def _check(call: LintCall, tree: KernelTree, printer: LintPrinter) -> None:
    """Check for one kernel."""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        place = Path(scratch).resolve()
        rest = {name: value for name, value in call.variables.items() if name not in ("KDIR", "KERNELRELEASE")}
        answer = ask_tree(tree, variables={**rest, **ASKED_WITH}, environ=os.environ)
        evaluation = evaluate(answer, call.directory, place / "plan", environ=os.environ, jobs=call.settings.jobs)
        try:
            _tell(evaluation)
            subjects = _chosen_subjects(call, answer, evaluation)
            lint_objects(subjects, tree, str(call.directory), call.settings, printer, scratch=str(place))
        finally:
            if evaluation.layout.overlay:
                leave(evaluation.layout.overlay)


def _chosen_subjects(call: LintCall, answer: TreeAnswer, evaluation: Evaluation) -> list[LintSubject]:
    """The objects that are checked, at least one. Raises `KbuildError`."""
    subjects = lint_subjects(evaluation, answer, os.environ)
    names = {subject.name for subject in subjects}
    for name in sorted(call.objects - names):
        hint = did_you_mean(name, names) or f"the objects of its modules: {' '.join(sorted(names)) or 'none'}"
        raise UsageError(f"{name}: no object of a module in {call.directory} is made from a source", hint=hint)
    if not subjects and evaluation.plan.modules:
        raise KbuildError(
            f"{call.directory}: its modules have no source in C or assembly",
            hint="checkers read nothing else; for Rust there is clippy: kbuildpy build DIR CLIPPY=1",
        )
    if not subjects:
        raise _no_modules(call, answer, evaluation)
    return [subject for subject in subjects if subject.name in call.objects or not call.objects]


def _no_modules(call: LintCall, answer: TreeAnswer, evaluation: Evaluation) -> Exception:
    from kbuildpy.scaffold.no_modules import no_modules  # (slow, and next to never needed)

    given, config = dict(answer.variables), answer.tree.config

    def value_of(symbol: str) -> str:
        return given.get(symbol, config.get(symbol) or os.environ.get(symbol, ""))

    return no_modules(
        call.directory,
        evaluation.plan.makefiles,
        release=answer.tree.release,
        value_of=value_of,
        command="kbuildpy lint",
    )


def _tell(evaluation: Evaluation) -> None:
    """What make and the Kbuild file's own rules printed."""
    for text in (evaluation.printed, evaluation.plan.warnings):
        if text.strip():
            complain("\n".join(map(printable, text.rstrip().splitlines())))


def _print_checkers() -> None:
    width = max(map(len, CHECKERS))
    for name, checker in CHECKERS.items():
        usual = " (usual)" if name in USUAL else ""
        print(f"{name:{width}}  {checker.summary}{usual}{_obstacle(checker)}")


def _obstacle(checker: SourceChecker) -> str:
    try:
        program_words(checker, (), os.environ)
    except KbuildError as error:
        return f"; not here: {error.hint}"
    return f"; takes scripts/{checker.script} of kernel sources" if checker.script else ""

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy explain`: where the flags of an object come from, and who exports a symbol."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.cli.explain_output import flag_lines, object_to_json
from kbuildpy.cli.explain_symbols import explain_symbols
from kbuildpy.cli.shared_options import add_format, add_kernels, split_words
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file, has_kbuild_file
from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.evaluation import look_at
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.origins.explain_object import ExplainedObject, explain_objects
from kbuildpy.origins.flag_difference import flag_difference
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.similar import did_you_mean, similar_file

EXAMPLES = (
    "kbuildpy explain hello.o",
    "kbuildpy explain DIR drv/core.c KCFLAGS=-DDEBUG --format json",
    "kbuildpy explain DIR x.o --diff -k 6.1.0-56-amd64 -k 6.12.117+deb12-amd64",
    "kbuildpy explain --symbol usb_register_driver",
)


@dataclass(frozen=True)
class KernelObject:
    """An object as one kernel has it compiled."""

    tree: KernelTree
    """The kernel tree."""
    explained: ExplainedObject
    """The object's flags."""
    name: str
    """The object below the module directory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy explain`."""
    parser.epilog = (
        "Of each option of the object's compile command: the makefile and line that has it, the variable, the CONFIG_ "
        "symbols and the questions to the compiler (cc-option) that it depends on, or the variable of the environment "
        "or of the command line. `unknown`: make's assignments do not tell. Nothing is built."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR | OBJECT | SOURCE | VAR=VALUE",
        help="the module directory (default: the one of the object), and objects or sources in it",
    )
    add_kernels(parser)
    parser.add_argument(
        "--diff", action="store_true", help="of two kernels, or two objects: only the flags that one of them has"
    )
    parser.add_argument(
        "--symbol",
        action="append",
        default=[],
        dest="symbols",
        metavar="NAME",
        help="who exports a symbol, in each kernel (without -k: in all that are installed)",
    )
    add_format(parser, "text (default), or one JSON object for each object, or symbol, and kernel")


def run(args: argparse.Namespace) -> int:
    """Explain the flags of objects, or symbols."""
    if args.symbols:
        return explain_symbols(args)
    paths, variables = split_words(args.words)
    directory, names = directory_and_objects(paths)
    found = resolve(args.kernels, Need.TREE, variables=variables, environ=os.environ)
    if not args.kernels and not found[0].by_kdir:
        complain(f"kbuildpy: {found[0].reason}")
    trees = [kernel.the_tree() for kernel in found]
    if args.diff and len(trees) * len(names) != 2:
        raise UsageError(
            f"--diff compares two: here are {len(names)} objects and {len(trees)} kernels",
            hint="name one object and two kernels (-k A -k B), or two objects and one kernel",
        )
    subjects = [each for tree in trees for each in _explained(tree, directory, names, variables)]
    if args.diff:
        _print_difference(subjects, as_json=args.format == "json")
    elif args.format == "json":
        for each in subjects:
            print(json.dumps(object_to_json(each.name, each.explained.source, each.tree, each.explained.flags)))
    else:
        for number, each in enumerate(subjects):
            print(f"{chr(10) if number else ''}{printable(_title(each))}: {len(each.explained.flags)} flags")
            _print_lines(flag_lines(each.explained.flags, each.tree))
    return 0


def directory_and_objects(paths: Sequence[str]) -> tuple[Path, list[str]]:
    """The module directory (physical), and the objects in it that the call names, as paths below it.

    Without a directory, it is the innermost one above the first object that has a Kbuild file. Raises `UsageError` for
    no object, for a word that is neither an object nor a source, and for an object that is elsewhere.
    """
    named = bool(paths) and Path(paths[0]).is_dir()
    words = list(paths[1:] if named else paths)
    if not words:
        raise UsageError("no object is named", hint="kbuildpy explain DIR x.o; x.c stands for the object made from it")
    objects = [_object_of(word) for word in words]
    base = Path(paths[0]) if named else Path()
    directory = (base if named else _directory_of(Path(objects[0]))).resolve()
    check_directory_name(directory)
    check_kbuild_file(directory)
    below = []
    for word in objects:
        path = os.path.normpath(base.resolve() / word)
        if not path.startswith(f"{directory}/"):
            raise UsageError(f"{word}: not below {directory}", hint="name the module directory first")
        below.append(os.path.relpath(path, directory))
    return directory, below


def _object_of(word: str) -> str:
    stem, ending = os.path.splitext(word)  # noqa: PTH122
    if ending not in (".o", ".c", ".S", ".rs"):
        said = "neither an object (x.o) nor a source (x.c, x.S, x.rs)"
        said += "" if Path(word).exists() else ", and no directory"
        symbol = f"is it a symbol? kbuildpy explain --symbol {word}" if word.isidentifier() else ""
        raise UsageError(f"{word}: {said}", hint=similar_file(word) or symbol)
    return f"{stem}.o"


def _directory_of(path: Path) -> Path:
    """The innermost directory above `path` that Kbuild can be called for."""
    around = [Path(), *path.parents]
    found = [folder for folder in around if has_kbuild_file(folder)]
    return found[0] if found else path.parent


def _explained(
    tree: KernelTree, directory: Path, names: Sequence[str], variables: Mapping[str, str]
) -> Iterator[KernelObject]:
    rest = {name: value for name, value in variables.items() if name not in ("KDIR", "KERNELRELEASE")}
    answer = ask_tree(tree, variables=rest, environ=os.environ)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        evaluation = look_at(answer, directory, Path(scratch), environ=os.environ)
    targets = [_target(evaluation.plan, evaluation.layout, name) for name in names]
    question = DirectoryQuestion(answer, directory, os.environ)
    explained = explain_objects(question, evaluation.plan, targets)
    for name, each in zip(names, explained, strict=True):
        yield KernelObject(tree, each, name)


def _target(plan: Plan, layout: Layout, name: str) -> str:
    """The object `name` as the plan names it."""
    by_name = {layout.relative(item.target): item.target for item in plan.objects}
    if name in by_name:
        return by_name[name]
    for module in plan.modules:
        if layout.relative(module.target) == name:
            parts = " ".join(layout.relative(part) for part in module.objects)
            raise KbuildError(f"{name}: linked from several objects", hint=f"explain one of them: {parts}")
    hint = did_you_mean(name, by_name) or f"the objects of its modules: {' '.join(sorted(by_name)) or 'none'}"
    raise UsageError(f"{name}: no object of a module in {plan.directory}", hint=hint)


def _print_difference(subjects: Sequence[KernelObject], *, as_json: bool) -> None:
    one, other = subjects
    both = flag_difference(one.explained.flags, one.tree, other.explained.flags, other.tree)
    for number, (each, flags) in enumerate(zip(subjects, both, strict=True)):
        if as_json:
            print(json.dumps(object_to_json(each.name, each.explained.source, each.tree, flags)))
        else:
            print(f"{chr(10) if number else ''}only {printable(_title(each))}: {len(flags)} flags")
            _print_lines(flag_lines(flags, each.tree))


def _title(subject: KernelObject) -> str:
    return f"{subject.name} for {subject.tree.release}"


def _print_lines(lines: Iterator[str]) -> None:
    for line in lines:
        print(printable(line))

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy abi`: what changed between two kernels for modules, and for a given module."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kbuildpy.abi.as_json import module_json, symbol_json, type_json
from kbuildpy.abi.explain_kernels import explain_kernels
from kbuildpy.abi.explain_module import Side, explain_module
from kbuildpy.abi.kernel_types import kernel_types
from kbuildpy.abi.text import kernels_lines, module_lines
from kbuildpy.abi.verdict import outcome_of
from kbuildpy.cli.shared_options import add_format, add_verbose, named_path
from kbuildpy.debug.subjects import read_subject
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.find_image import root_of_kernel
from kbuildpy.kernel.module_files import find_modules, no_modules_below
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.loader.verdict import Verdict
from kbuildpy.printable import printable, printable_error

EXAMPLES = (
    "kbuildpy abi 6.1.0-47-amd64 6.1.0-56-amd64",
    "kbuildpy abi 6.1.0-47-amd64 6.1.0-56-amd64 drv.ko",
    "kbuildpy abi running 6.12.117+deb12-amd64 --symbol wake_up_process",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy abi`."""
    parser.epilog = (
        "Why a CRC changed comes from the type information (BTF) of both kernels, what a module was compiled with from "
        "its debug information. Exit status: 0 done, and each module loads as it is, as far as that is known; 1 a "
        "module has to be rebuilt or changed; 2 the call was wrong."
    )
    parser.add_argument(
        "old", metavar="A", help="the old kernel, as -k of other commands: a release, a path, `running`"
    )
    parser.add_argument("new", metavar="B", help="the new kernel")
    parser.add_argument(
        "files", nargs="*", metavar="FILE | DIR", type=named_path, help="modules that were built for A, or directories"
    )
    parser.add_argument(
        "--symbol",
        action="append",
        default=[],
        metavar="NAME",
        help="explain this symbol, or those that match a pattern",
    )
    parser.add_argument(
        "--with-modules",
        action="store_true",
        help="without FILE: also explain what the kernels' own modules export (reads them all)",
    )
    add_verbose(parser, "list all symbols, types, differences and places")
    add_format(parser, "text (default), or one JSON object per line: for each module, else for each symbol and type")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 1 if a module has to be rebuilt or changed."""
    if args.files and (args.symbol or args.with_modules):
        raise UsageError("--symbol and --with-modules compare kernels: leave them out, or the modules")
    files = find_modules(args.files)
    if args.files and not files:
        raise no_modules_below(args.files)
    old, new = (_side(word, asks=bool(files)) for word in (args.old, args.new))
    if not files:
        for line in _of_kernels(args, old, new):
            print(line)
        return 0
    verdicts: dict[Path, Verdict] = {}
    for file, row in check_files(Check(tuple(files), (new.kernel,), {}), jobs=1):
        verdicts[file] = row[0]
    states = set()
    for file in files:
        try:
            report = explain_module(read_subject(file), old, new)
        except KbuildError as error:
            # (one damaged file must not end the report of the others)
            if len(files) == 1:
                raise
            states.add("change")
            print(f"kbuildpy: {printable_error(error.message, error.hint)}", file=sys.stderr)
            if args.format == "json":
                print(json.dumps({"file": str(file), "error": error.message, "hint": error.hint or None}))
            continue
        states.add(outcome_of(report, verdicts[file]).state)
        if args.format == "json":
            print(json.dumps(module_json(report, verdicts[file], old.kernel.release, new.kernel.release)))
        else:
            for line in module_lines(report, verdicts[file], new.kernel.release, verbose=args.verbose):
                print(printable(line))
    return 1 if states & {"change", "rebuild"} else 0


def _side(word: str, *, asks: bool) -> Side:
    """The kernel that `word` names; `asks`: with what only its compiler tells, for a verdict."""
    chosen: ChosenKernel = resolve_one([word], Need.EITHER)
    ask = partial(ask_module_facts, environ=os.environ) if asks else None
    kernel = loader_kernel(chosen, ask, root=root_of_kernel(chosen))
    types, why = kernel_types(kernel)
    return Side(kernel, types, why)


def _of_kernels(args: argparse.Namespace, old: Side, new: Side) -> Iterator[str]:
    report = explain_kernels(old, new, tuple(args.symbol), with_modules=args.with_modules)
    if args.symbol and not report.symbols:
        raise UsageError(f"--symbol {args.symbol[0]}: neither kernel exports it")
    if args.format == "json":
        releases = old.kernel.release, new.kernel.release
        yield from (json.dumps(symbol_json(each, *releases)) for each in report.symbols)
        yield from (json.dumps(type_json(each, *releases)) for each in report.types if not args.symbol)
    else:
        yield from map(printable, kernels_lines(report, verbose=args.verbose, asked=bool(args.symbol)))

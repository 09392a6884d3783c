# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy matrix`: build, sign, check and run many modules for many kernels."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from kbuildpy.cli.matrix_key import open_key
from kbuildpy.cli.matrix_output import print_overview, print_record, write_page
from kbuildpy.cli.progress import print_note, with_bar
from kbuildpy.cli.shared_options import (
    add_format,
    add_jobs,
    add_kernels,
    add_quiet,
    job_count,
    named_path,
    named_word,
    split_words,
)
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.fleet.contents import is_source
from kbuildpy.fleet.executor import Executor, work_on
from kbuildpy.fleet.local import in_local_processes
from kbuildpy.fleet.matrix import run_matrix
from kbuildpy.fleet.plan import plan_cells, shard, steps_of
from kbuildpy.fleet.record import Record
from kbuildpy.fleet.slurm import TASKS, on_slurm
from kbuildpy.fleet.slurm_task import work_on_share
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.printable import printable
from kbuildpy.signing.key_name import is_pkcs11_uri
from kbuildpy.similar import no_such_path

EXAMPLES = (
    "kbuildpy matrix DIR -k all",
    "kbuildpy matrix DIR -k '6.1.0-*' --do build,check,run",
    "kbuildpy matrix MODULES -k all --do check --html matrix.html",
    "kbuildpy matrix DIR -k all --shard 1/4 -o shard1",
)
_OUT = "matrix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy matrix`."""
    parser.epilog = (
        "A cell is one kernel with all modules. Results are added to OUT/results.jsonl as cells are done; the same "
        "call again works on the cells that are not done, or whose sources or kernel changed. Exit status: 0 all "
        "passed; 1 something failed; 2 the call was wrong."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE | DIR | VAR=VALUE",
        help="module directories to build, modules, directories of modules; variables for make",
    )
    add_kernels(parser)
    parser.add_argument(
        "--do",
        metavar="STEPS",
        help="what is done, separated by commas: build, sign, check, run (default: build,check, or check for modules "
        "that are built)",
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=named_path, help=f"where results go (default: {_OUT})")
    parser.add_argument(
        "--executor",
        metavar="local | dask://HOST:PORT | slurm[://TASKS]",
        default="local",
        help="what works on the cells: processes on this machine (default), the workers of a Dask scheduler, or a job "
        "array of Slurm; workers and nodes see the same files at the same paths",
    )
    parser.add_argument("--shard", metavar="I/N", help="do part I of N of the cells: for jobs of a CI system")
    parser.add_argument(
        "--merge",
        action="append",
        default=[],
        metavar="DIR",
        type=named_path,
        help="another matrix's OUT: cells that are done there are not done again",
    )
    parser.add_argument("--html", metavar="FILE", type=named_path, help="write the overview as a page")
    parser.add_argument(
        "--key", metavar="KEY", type=named_word, help="for sign: the private key, a file or a pkcs11: URI"
    )
    parser.add_argument(
        "--cert", metavar="CERT", type=named_word, help="for sign: its certificate (default: the one in the key's file)"
    )
    parser.add_argument(
        "--sig-enforce", action="store_true", help="for check: the kernel runs with module.sig_enforce=1"
    )
    parser.add_argument(
        "--test", action="append", default=[], metavar="PROGRAM", help="for run: a test, as `kbuildpy run` has it"
    )
    add_jobs(parser)
    add_quiet(parser, "print what failed only")
    add_format(parser, "text (default): a table; or one JSON object for each result, as soon as it is known")
    parser.add_argument("--cell", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cells", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--task", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the matrix; the exit status."""
    jobs = job_count(args) or os.cpu_count() or 1
    if args.cell is not None:
        work_on(args.cell, args.place, jobs=jobs)
        return 0
    if args.cells is not None:
        work_on_share(args.cells, args.task, jobs=jobs)
        return 0
    paths, variables = split_words(args.words)
    if not paths:
        raise UsageError("nothing to work on", hint="name module directories, modules, or directories of modules")
    inputs = [named_path(word) for word in paths]
    for path in inputs:
        if not path.exists():
            raise no_such_path(path)
    steps = steps_of(args.do) if args.do is not None else _usual_steps(any(map(is_source, inputs)))
    needs = Need.TREE if "build" in steps else Need.IMAGE if "run" in steps else Need.EITHER
    kernels = resolve(args.kernels, needs, variables=variables, environ=os.environ)
    if not args.kernels and not kernels[0].by_kdir:
        print(f"kbuildpy: {printable(kernels[0].reason)}", file=sys.stderr)
    cells = plan_cells(
        inputs, kernels, steps, variables=variables, options=_options(args, steps), files=_files(args, steps)
    )
    chosen = cells if args.shard is None else shard(cells, args.shard)
    out = (args.output or Path(_OUT)).absolute()
    executor = _executor(args.executor, job_count(args))
    if "sign" in steps:
        open_key(args.key, args.cert or "", hands_on=not args.executor.startswith("slurm"))
    results = run_matrix(chosen, out, executor, others=args.merge)
    shown, say = with_bar(results, len(chosen), quiet=args.quiet, unit=" cells")
    records: list[Record] = []
    for result in shown:
        records += result.records
        if args.format == "json":
            for record in result.records:
                print_record(record, say, quiet=args.quiet)
    releases = [cell.release for cell in chosen]
    if args.format == "text":
        print_overview(records, releases, quiet=args.quiet)
    if args.html is not None:
        write_page(args.html, records, releases)
    return 1 if any(record.status == "failed" for record in records) else 0


def _executor(word: str, jobs: int) -> Executor:
    """What `--executor` names, with `jobs` (0: not said). Raises `UsageError`, and `KbuildError` for a missing
    package."""
    if word == "local":
        return partial(in_local_processes, jobs=jobs or os.cpu_count() or 1)
    kind, found, address = word.partition("://")
    if kind == "slurm" and (not found or (address.isdecimal() and int(address) > 0)):
        # (a processor for each cell, unless -j says otherwise)
        return partial(on_slurm, tasks=int(address or TASKS), jobs=jobs or 1, tell=print_note)
    if kind != "dask" or not found or not address:
        raise UsageError(f"--executor {word}: unknown", hint="local, dask://HOST:PORT, slurm, or slurm://TASKS")
    try:
        from kbuildpy.fleet.dask import on_dask  # (slow, and may be missing)
    except ImportError as error:
        raise KbuildError(f"--executor {word}: {error}", hint="pip install distributed") from error
    return partial(on_dask, scheduler=f"tcp://{address}", jobs=jobs or 1)


def _usual_steps(builds: bool) -> tuple[str, ...]:
    return ("build", "check") if builds else ("check",)


def _options(args: argparse.Namespace, steps: Sequence[str]) -> dict[str, list[str]]:
    """The words for each step's command. Raises `UsageError` for options of steps that are not done."""
    found: dict[str, list[str]] = {}
    given = {
        "sign": [(name, _key_word(word)) for name, word in (("--key", args.key), ("--cert", args.cert))],
        "check": [("--sig-enforce", args.sig_enforce or None)],
        "run": [("--test", word) for word in args.test],
    }
    for step, options in given.items():
        words = [word for name, value in options if value is not None for word in _words(name, value)]
        if words and step not in steps:
            raise UsageError(
                f"{words[0]} is for the step {step}, which is not done", hint=f"--do {','.join(steps)},{step}"
            )
        found[step] = words
    if "sign" in steps and args.key is None:
        raise UsageError("--do sign: no key to sign with", hint="--key KEY --cert FILE")
    return {step: words for step, words in found.items() if words}


def _key_word(word: str | None) -> object:
    return word if word is None or is_pkcs11_uri(word) else Path(word)


def _words(name: str, value: object) -> list[str]:
    if value is True:
        return [name]
    return [name, str(value.absolute()) if isinstance(value, Path) else str(value)]


def _files(args: argparse.Namespace, steps: Sequence[str]) -> Iterable[Path]:
    """The files of the options whose contents decide about the result. (The key itself is not read here.)"""
    if "sign" in steps and args.cert is not None and not is_pkcs11_uri(args.cert):
        yield Path(args.cert)
    yield from (Path(word.split(" ", 1)[0]) for word in args.test)

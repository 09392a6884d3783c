# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy build`: the engine of an SConstruct, for a directory without an SConstruct."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from kbuildpy.cli.shared_options import (
    add_format,
    add_jobs,
    add_kernels,
    add_quiet,
    add_verbose,
    job_count,
    named_path,
    split_words,
)
from kbuildpy.errors import UsageError

EXAMPLES = (
    "kbuildpy build",
    "kbuildpy build DIR -k all -j2 -o OUT W=1",
    "kbuildpy build DIR -k 6.1.0-56-amd64 --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy build`."""
    parser.add_argument("words", nargs="*", metavar="DIR | VAR=VALUE", help="the module directory (default: here)")
    add_kernels(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=named_path, help="the output directory (default: DIR/build)"
    )
    add_jobs(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")
    parser.add_argument("-c", "--clean", action="store_true", help="remove what was built")
    add_quiet(parser, "print errors only", besides=["-s", "--silent"])
    add_verbose(parser, "print commands in full, as V=1")
    add_format(
        parser,
        "text (default), or one JSON object for each module and kernel; the build's output goes to standard error",
    )
    parser.add_argument("-K", "--keep-going", action="store_true", help="build what can be built despite errors")
    parser.add_argument("--allow-empty", action="store_true", help="a Kbuild file without modules is not an error")


def run(args: argparse.Namespace) -> int:
    """Build the modules of a directory for one kernel or several; the exit status."""
    directories, variables = split_words(args.words)
    if len(directories) > 1:
        raise UsageError(f"one directory at a time, not {len(directories)}: {', '.join(directories)}")
    jobs = job_count(args) or os.cpu_count() or 1
    if args.format == "json" and (args.dry_run or args.clean):
        raise UsageError("--format json lists the modules that were built: leave out -n and -c")
    if args.verbose:
        variables.setdefault("V", "1")
    directory = Path(directories[0] if directories else ".")
    from kbuildpy.scons.standalone import build_directory

    results: list[dict[str, object]] = []
    with _on_standard_error() if args.format == "json" else nullcontext():
        status = build_directory(
            directory,
            kernels=args.kernels,
            out=args.output,
            jobs=jobs,
            variables=variables,
            options=[
                *(["-n"] if args.dry_run else []),
                *(["-c"] if args.clean else []),
                *(["-s"] if args.quiet else []),
                *(["-k"] if args.keep_going else []),
            ],
            allow_empty=args.allow_empty,
            results=results if args.format == "json" else None,
        )
    for result in results:
        print(json.dumps(result))
    return status


@contextmanager
def _on_standard_error() -> Iterator[None]:
    """Redirect standard output, also that of programs, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)

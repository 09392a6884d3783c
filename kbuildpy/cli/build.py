"""`kbuildpy build`: the same engine as in an SConstruct, for a directory that has none."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kbuildpy.cli.words import add_kernels, split_words
from kbuildpy.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy build`."""
    parser.add_argument("words", nargs="*", metavar="DIR | VAR=VALUE", help="the module directory (default: here)")
    add_kernels(parser)
    parser.add_argument("-o", "--output", metavar="OUT", help="where modules come out (default: DIR/build)")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="jobs at a time (default: one per processor)")
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("-c", "--clean", action="store_true", help="remove what was built")
    parser.add_argument("-s", "--silent", action="store_true", help="print errors only")
    parser.add_argument("-K", "--keep-going", action="store_true", help="build what can be built despite errors")
    parser.add_argument("--allow-empty", action="store_true", help="a Kbuild file that names no modules is no failure")


def run(args: argparse.Namespace) -> int:
    """Build the modules of a directory for one kernel or several; the exit status."""
    directories, variables = split_words(args.words)
    if len(directories) > 1:
        raise UsageError(f"one directory at a time, not {len(directories)}: {', '.join(directories)}")
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"-j {args.jobs}: at least one job")
    directory = Path(directories[0] if directories else ".")
    from kbuildpy.scons.standalone import build_directory

    return build_directory(
        directory,
        kernels=args.kernels,
        out=Path(args.output) if args.output else None,
        jobs=args.jobs or os.cpu_count() or 1,
        variables=variables,
        options=[
            *(["-n"] if args.dry_run else []),
            *(["-c"] if args.clean else []),
            *(["-s"] if args.silent else []),
            *(["-k"] if args.keep_going else []),
        ],
        allow_empty=args.allow_empty,
        stdout=sys.stdout,
    )

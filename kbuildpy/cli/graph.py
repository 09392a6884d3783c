# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy graph`: which module needs which."""

from __future__ import annotations

import argparse
from pathlib import Path

from kbuildpy.cli.shared_options import add_kernels, add_quiet, named_path, named_word, require_folder
from kbuildpy.errors import UsageError
from kbuildpy.kernel.module_files import find_modules, no_modules_below

EXAMPLES = (
    "kbuildpy graph BUILD -o modules.svg",
    "kbuildpy graph a.ko b.ko -k 6.1.0-56-amd64 --format json",
    "kbuildpy graph /lib/modules/6.1.0-56-amd64/kernel/sound -o sound.html",
    "kbuildpy graph /lib/modules/6.1.0-56-amd64/kernel/net --around nf_tables --distance 2 --format dot",
)

_FORMATS = ("svg", "html", "dot", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy graph`."""
    parser.epilog = (
        "What is needed is drawn below what needs it, with the symbols as titles of the edges. Exit status: 0 done; 1 "
        "a file is no module or cannot be read; 2 the call was wrong."
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE | DIR",
        type=named_path,
        help="modules, or directories of them (default: those below the working directory)",
    )
    add_kernels(
        parser,
        "the kernel whose own modules may be needed: a kernel tree's path, an image's, or a release (default: the "
        "kernel that the modules were built for)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=named_path, help="the file to write (default: standard output)"
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="a picture, a page with it, Graphviz' language, or JSON (default: as the name of FILE says, else svg)",
    )
    parser.add_argument(
        "--around",
        action="append",
        default=[],
        metavar="NAME",
        type=named_word,
        help="only this module, what it needs, and what needs it; may repeat",
    )
    parser.add_argument(
        "--distance", type=int, default=1, metavar="N", help="for --around: over N edges at most (default: 1)"
    )
    parser.add_argument(
        "--every-edge", action="store_true", help="draw also edges that follow from others, in a graph of many modules"
    )
    add_quiet(parser, "do not say what was left out")


def run(args: argparse.Namespace) -> int:
    """Write the graph; 0 if every file could be read."""
    format = _format(args)
    require_folder(args.output)
    if args.distance < 1:
        raise UsageError(f"--distance {args.distance}: at least one edge")
    files = find_modules(args.files or [Path()])
    if not files:
        raise no_modules_below(args.files)
    from kbuildpy.cli.graph_output import print_graph  # (slow: the loader)

    return print_graph(args, files, format)


def _format(args: argparse.Namespace) -> str:
    """The format, by --format or by the name of the file. Raises `UsageError` for a name that says none."""
    if args.format is not None:
        return str(args.format)
    if args.output is None:
        return "svg"
    found = args.output.suffix.removeprefix(".")
    if found not in _FORMATS:
        raise UsageError(
            f"{args.output}: the name says no format",
            hint=f"name a file that ends in .{', .'.join(_FORMATS)}, or --format",
        )
    return str(found)

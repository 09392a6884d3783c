# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy init`: the project files of SCons and DKMS, for existing modules."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.cli.shared_options import add_kernels, add_quiet, split_words
from kbuildpy.errors import UsageError
from kbuildpy.kbuild.summary import summarize_directory
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.printable import printable
from kbuildpy.scaffold.existing import Ask, Existing, Modules, read_existing
from kbuildpy.similar import similar_file

_WORDS = {"new": "written", "more": "lines added at the end", "kept": "left as it is"}


EXAMPLES = ("kbuildpy init -n", "kbuildpy init third_party/v4l2loopback -k 6.1.0-56-amd64 HDAPS=1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy init`."""
    parser.epilog = (
        "Reads the directory's Kbuild file, or a Makefile that calls Kbuild, or, without these, the "
        "sources. Prints the modules that it found, and writes an SConstruct, a dkms.conf, and lines for "
        "README.md and .gitignore."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR | VAR=VALUE",
        help="the project's directory (default: here); variables that its Kbuild files need",
    )
    add_kernels(parser, "the kernel whose tree Kbuild is asked of: a path, a release, or `running`")
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="print the modules that were found, and write nothing"
    )
    add_quiet(parser, "do not print the modules that were found and the files that were written")
    parser.add_argument("--force", action="store_true", help="replace an existing SConstruct")


def run(args: argparse.Namespace) -> int:
    """Write the files that are missing; 0 if done."""
    directories, variables = split_words(args.words)
    if len(directories) > 1:
        raise UsageError(f"one directory at a time, not {len(directories)}: {', '.join(directories)}")
    directory = Path(directories[0] if directories else ".")
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such directory" if not directory.exists() else f"{directory}: not a directory",
            hint=similar_file(directory),
        )
    if len(args.kernels) > 1:
        raise UsageError(f"-k {' -k '.join(args.kernels)}: one kernel at a time, not {len(args.kernels)}")
    existing = read_existing(directory.resolve(), asking_kbuild(args.kernels), variables)
    for line in () if args.quiet else _understood(existing):
        print(printable(line))
    from kbuildpy.scaffold.init_files import init_changes, write_changes  # (slow: Jinja2)

    changes = init_changes(existing, force=args.force)
    if not args.dry_run:
        write_changes(existing.directory, changes)
    for change in () if args.quiet else changes:
        what = f"would be {_WORDS[change.kind]}" if args.dry_run else _WORDS[change.kind]
        print(printable(f"{change.path}: {what}"))
    return 0


def asking_kbuild(kernels: list[str]) -> Ask:
    """The function that evaluates a Kbuild file. The kernel tree is looked for at the first call."""

    def ask(directory: Path, variables: Mapping[str, str]) -> Modules:
        kernel = resolve_one(kernels, Need.TREE, environ=os.environ)
        summary = summarize_directory(directory, kernel.the_tree(), variables=variables, environ=os.environ)
        if summary.warnings.strip():
            print(printable(summary.warnings.strip()), file=sys.stderr)
        return [(module.name, module.sources) for module in summary.modules]

    return ask


def _understood(existing: Existing) -> list[str]:
    lines = [f"{existing.directory}:"]
    for build in existing.builds:
        given = "".join(f" {name}={value}" for name, value in build.variables)
        lines.append(f"  {build.below}{given} ({build.source})")
        lines += [f"    {module.name}.ko: {' '.join(module.sources)}" for module in build.modules]
    lines += [f"  {remark}" for remark in existing.remarks]
    if existing.left_out:
        lines.append(f"  of no module: {', '.join(existing.left_out)} (add them to the file Kbuild)")
    return lines

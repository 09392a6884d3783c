# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy decode`: the addresses in a kernel's log as functions, files and lines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, add_kernels, named_path
from kbuildpy.debug.decode import Decoded, NotDecoded, decode_log, find_among
from kbuildpy.debug.decoded_text import decoded_lines
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.subjects import Subject, read_subject, read_vmlinux
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, find_modules
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.printable import printable, printable_error
from kbuildpy.similar import no_such_path

EXAMPLES = (
    "kbuildpy decode oops.log boom.ko",
    "kbuildpy decode - build/6.1.0-56-amd64 --format json",
    "kbuildpy decode console.log -k 6.1.0-56-amd64 --vmlinux vmlinux",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy decode`."""
    parser.epilog = (
        "Behind each line of the log that names code of a module, the function, the file and the line are added, and "
        "below it the calls that it is inlined by. Modules that are not named are looked for in build/RELEASE of this "
        "directory, then in /lib/modules/RELEASE. Exit status: 0 all places in modules were found; 1 some were not, "
        "and standard error says why; 2 the call was wrong."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="LOG | - | FILE | DIR",
        type=named_path,
        help="the log (default: standard input), then modules, or directories of them",
    )
    add_kernels(parser, "the kernel that wrote the log, if the log does not tell: a release or a kernel tree's path")
    parser.add_argument(
        "--vmlinux", metavar="FILE", type=named_path, help="the kernel with debug information, for its own functions"
    )
    parser.add_argument(
        "--debug-files",
        action="append",
        default=[],
        metavar="DIR",
        type=named_path,
        help="a folder with the debug information of stripped modules, by build id (sign --debug-files); may repeat",
    )
    add_format(parser, "the log with the places (default), or one JSON object for each of them")


def run(args: argparse.Namespace) -> int:
    """Decode one log."""
    log, named = _log_and_modules(args.names)
    release = resolve_one(args.kernels, Need.EITHER, environ=os.environ).release or "" if args.kernels else ""
    folders = tuple(args.debug_files)
    given = [read_subject(file, debug_folders=folders) for file in find_modules(named)]
    vmlinux = read_vmlinux(args.vmlinux) if args.vmlinux else None
    lines = _read(log)
    finder = Finder(Path.cwd(), debug_folders=folders)
    decoded = decode_log(lines, find_among(given, finder, vmlinux), release=release)
    if args.format == "json":
        for each in decoded:
            print(json.dumps(_as_json(each, lines)))
    else:
        subjects = [*given, *finder.found(), *([vmlinux] if vmlinux else [])]
        for line in decoded_lines(lines, decoded, roots=_roots(subjects)):
            print(line)
    problems = list(dict.fromkeys(each.problem for each in decoded if each.problem))
    sys.stdout.flush()
    for line in _told(problems):
        print(line, file=sys.stderr)
    return 1 if problems else 0


def _log_and_modules(names: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """The log, None for standard input, and what is to be taken for modules."""
    if not names or str(names[0]) == "-":
        return None, list(names[1:])
    if names[0].is_dir() or names[0].name.endswith(MODULE_SUFFIXES):
        return None, list(names)
    return names[0], list(names[1:])


def _read(log: Path | None) -> list[str]:
    try:
        contents = sys.stdin.buffer.read() if log is None else log.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise no_such_path(str(log)) from error
        raise KbuildError(f"{log or 'standard input'}: {error.strerror}") from error
    text = contents.decode(errors="surrogateescape")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _roots(subjects: Iterable[Subject]) -> list[str]:
    return [str(Path.cwd()), *(root for subject in subjects for root in subject.source_roots())]


def _as_json(decoded: Decoded, lines: Sequence[str]) -> dict[str, object]:
    mention, problem = decoded.mention, decoded.problem
    return {
        "line": mention.number + 1,
        "text": lines[mention.number],
        "symbol": mention.symbol,
        "offset": mention.offset,
        "size": mention.size,
        "module": mention.module or None,
        "build_id": mention.build_id or None,
        "returns": mention.returns,
        "certain": mention.certain,
        "file": decoded.file or None,
        "places": [[place.to_json() for place in chain] for chain in decoded.chains],
        "problem": problem.words if problem else None,
        "hint": problem.hint if problem else None,
    }


def _told(problems: Sequence[NotDecoded]) -> list[str]:
    """Each problem in a line, and each hint once, below the last of its problems."""
    told = []
    for hint in dict.fromkeys(problem.hint for problem in problems):
        words = [problem.words for problem in problems if problem.hint == hint]
        told += [f"kbuildpy: {printable(each)}" for each in words[:-1]]
        told.append(f"kbuildpy: {printable_error(words[-1], hint)}")
    return told

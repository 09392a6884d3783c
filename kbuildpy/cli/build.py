# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy build`: the engine of an SConstruct, for a directory without an SConstruct."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from kbuildpy.cli.shared_options import (
    add_format,
    add_jobs,
    add_kernels,
    add_quiet,
    add_verbose,
    job_count,
    named_path,
    named_word,
    split_words,
)
from kbuildpy.cli.standard_error import on_standard_error
from kbuildpy.errors import UsageError
from kbuildpy.kbuild.check_paths import has_kbuild_file
from kbuildpy.kbuild.single_targets import is_single_target
from kbuildpy.kernel.release import is_release
from kbuildpy.scons.standalone import build_directory
from kbuildpy.shared.address import check_address, directory_of

EXAMPLES = (
    "kbuildpy build",
    "kbuildpy build DIR -k all -j2 -o OUT W=1",
    "kbuildpy build DIR -k 6.1.0-56-amd64 --format json",
    "kbuildpy build DIR x.i x.s drv.ko",
    "kbuildpy build DIR --compile-commands",
    "kbuildpy build DIR -n --explain",
    "kbuildpy build DIR --coverage",
    "kbuildpy build DIR --trace build.json --trace build.html",
    "kbuildpy build DIR --no-dkms",
    "kbuildpy build DIR --cache s3://BUCKET/kbuildpy --cache-readonly",
)

_DATABASE = "compile_commands.json"
_FORMS = "a target is x.o, x.i, x.s, x.lst, x.ko, x.mod.c, or a subdirectory with a slash"
_WORDS = f"the module directory (default: here); in place of all modules, single targets in it: {_FORMS}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy build`."""
    parser.add_argument("words", nargs="*", metavar="DIR | TARGET | VAR=VALUE", help=_WORDS)
    add_kernels(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=named_path, help="the output directory (default: DIR/build)"
    )
    add_jobs(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")
    parser.add_argument("-c", "--clean", action="store_true", help="remove what was built")
    parser.add_argument(
        "--explain", action="store_true", help="print for each file that is made again the reason; with -n, make none"
    )
    add_quiet(parser, "print warnings and errors only", besides=["-s", "--silent"])
    add_verbose(parser, "print commands in full, as V=1")
    add_format(
        parser,
        "text (default), or one JSON object for each module and kernel; the build's output goes to standard error",
    )
    parser.add_argument("-K", "--keep-going", action="store_true", help="build what can be built despite errors")
    parser.add_argument(
        "--compile-commands",
        nargs="?",
        const=_DATABASE,
        metavar="FILE.json",
        help=f"write the compile commands for clangd and its kin to this file (default: DIR/{_DATABASE}), now and in "
        "each later build",
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="build instrumented modules for `kbuildpy run --coverage`, in OUT-coverage (default: DIR/build-coverage)",
    )
    parser.add_argument(
        "--cache",
        metavar="ADDRESS",
        type=named_word,
        help="take from a shared cache what others built, and store what is built: a directory, s3://, http(s)://, "
        "redis://, or what else fsspec knows (default: KBUILDPY_SHARED_CACHE)",
    )
    parser.add_argument("--cache-readonly", action="store_true", help="store nothing in it, as for pull requests")
    parser.add_argument(
        "--cache-key",
        metavar="FILE",
        type=named_path,
        help="an Ed25519 key (PEM): a private one signs what is stored, and with either only what is signed is taken "
        "(default: KBUILDPY_CACHE_KEY)",
    )
    parser.add_argument(
        "--trace",
        action="append",
        default=[],
        metavar="FILE",
        type=named_path,
        help="write what happened when, and who waited for what: FILE.json for Perfetto and chrome://tracing, or "
        "FILE.html or FILE.svg to look at; may repeat",
    )
    parser.add_argument(
        "--no-dkms",
        action="store_true",
        help="do not read the dkms.conf that lies in the directory, which says for which kernels it is built, and how",
    )
    parser.add_argument("--allow-empty", action="store_true", help="a Kbuild file without modules is not an error")


def run(args: argparse.Namespace) -> int:
    """Build the modules of a directory for one kernel or several; the exit status."""
    words, database = _database(args)
    paths, variables = split_words(words)
    directory, targets = _directory_and_targets(paths)
    jobs = job_count(args) or os.cpu_count() or 1
    if args.format == "json" and (args.dry_run or args.clean):
        raise UsageError("--format json lists the modules that were built: leave out -n and -c")
    if args.coverage and targets:
        raise UsageError(f"--coverage instruments modules, not single targets ({targets[0]})", hint="leave one out")
    if args.coverage and database:
        raise UsageError("--compile-commands are those of a build without --coverage", hint="leave one out")
    traces = [*args.trace, *map(Path, variables.pop("KBUILD_TRACE", "").split())]
    if traces and (args.dry_run or args.clean):
        raise UsageError(f"--trace {traces[0]} tells of what is built: leave out -n and -c")
    if traces:
        from kbuildpy.timeline.write import check_files  # (slow, and seldom)

        check_files(traces)
    if args.verbose:
        variables.setdefault("V", "1")
    if args.explain:
        variables["V"] = f"{variables.get('V', '').replace('2', '').replace('0', '')}2"
    options = [
        *(["-n"] if args.dry_run else []),
        *(["-c"] if args.clean else []),
        *(["-s"] if args.quiet else []),
        *(["-k"] if args.keep_going else []),
        *(["--cache-readonly"] if args.cache_readonly else []),
    ]
    cache = args.cache or os.environ.get("KBUILDPY_SHARED_CACHE", "")
    if cache:
        check_address(cache)
    elif args.cache_readonly or args.cache_key:
        raise UsageError("no shared cache is named", hint="--cache ADDRESS, or KBUILDPY_SHARED_CACHE")
    if args.cache_key and not args.cache_key.is_file():
        raise UsageError(f"{args.cache_key}: no such file", hint="--cache-key names an Ed25519 key in PEM")
    key_file = args.cache_key or Path(os.environ.get("KBUILDPY_CACHE_KEY", ""))
    results: list[dict[str, object]] | None = [] if args.format == "json" else None

    def build(directory: Path, kernels: Sequence[str], out: Path | None, variables: Mapping[str, str]) -> int:
        return build_directory(
            directory,
            kernels=kernels,
            out=out,
            jobs=jobs,
            variables=variables,
            options=options,
            allow_empty=args.allow_empty,
            results=results,
            targets=targets,
            compile_commands=_place_of(database, directory),
            coverage=args.coverage,
            cache=_absolute_address(cache),
            cache_key=str(key_file.absolute()) if key_file.name else "",
            traces=[file.absolute() for file in traces],
        )

    try:
        with on_standard_error() if args.format == "json" else nullcontext():
            if args.no_dkms or args.clean or not (directory / "dkms.conf").is_file():
                status = build(directory, args.kernels, args.output, variables)
            else:
                from kbuildpy.cli.build_dkms import build_by_dkms  # (slow, and for few directories)

                in_place_only = bool(targets or database or args.coverage or args.dry_run or traces)
                status = build_by_dkms(
                    directory,
                    kernels=args.kernels,
                    out=args.output,
                    jobs=jobs,
                    variables=variables,
                    in_place_only=in_place_only,
                    build=build,
                    results=results,
                    quiet=args.quiet,
                )
    finally:
        # (also what is known when it ends with an error)
        for result in results or ():
            print(json.dumps(result))
    return status


def _directory_and_targets(paths: Sequence[str]) -> tuple[Path, list[str]]:
    """The module directory, and the single targets in it. The first path is the directory if it is one, or no target by
    its form; every other one is a target.

    Raises `UsageError` for a second directory, and for a word that is no target.
    """
    named = bool(paths) and (Path(paths[0]).is_dir() or not is_single_target(paths[0]))
    directory, targets = (Path(paths[0]), list(paths[1:])) if named else (Path(), list(paths))
    if targets and not named and not has_kbuild_file(directory) and has_kbuild_file(Path(targets[0]).parent):
        path = Path(targets[0])
        raise UsageError(f"{path}: no Kbuild file in this directory", hint=f"kbuildpy build {path.parent} {path.name}")
    others = [word for word in targets if not is_single_target(word)]
    directories = [word for word in paths if word not in targets or Path(word).is_dir()]
    if others and Path(others[0]).is_dir():
        raise UsageError(f"one directory at a time, not {len(directories)}: {', '.join(directories)}")
    if others:
        kernel = f"a kernel is named with -k: kbuildpy build {shlex.join(directories[:1])} -k {shlex.quote(others[0])}"
        hint = kernel if is_release(others[0]) else _FORMS
        raise UsageError(f"{others[0]}: neither a variable nor a target", hint=hint)
    return directory, targets


def _database(args: argparse.Namespace) -> tuple[list[str], str | None]:
    """The words of the call, and the value of --compile-commands: what is no FILE.json is a word that follows it."""
    value: str | None = args.compile_commands
    if value is None or value.endswith(".json"):
        return args.words, value
    return [value, *args.words], _DATABASE


def _absolute_address(cache: str) -> str:
    """The address of a shared cache, a directory with its whole path: the build changes its own."""
    directory = directory_of(cache) if cache else None
    return str(directory) if directory else cache


def _place_of(database: str | None, directory: Path) -> Path | None:
    """The file that `database` names: without a folder, it lies in `directory`, where clangd looks for it. Raises
    `UsageError` for a folder that is not there."""
    if database is None:
        return None
    place = directory / database if database == _DATABASE else Path(database)
    if not place.parent.is_dir():
        raise UsageError(f"{place.parent}: no such directory", hint="--compile-commands=FILE.json names the file")
    if place.is_dir():
        raise UsageError(f"{place}: a directory", hint="--compile-commands=FILE.json names the file")
    return place.absolute()

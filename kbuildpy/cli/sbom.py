# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sbom`: SPDX 3.0.1 documents about modules, in the shape of the kernel's own scripts/sbom."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from kbuildpy.cli.shared_options import add_build_output, add_quiet, named_path, named_word, require_folder
from kbuildpy.errors import UsageError
from kbuildpy.files import replacing, umask
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.proof.find_build import ModuleOfBuild, find_build
from kbuildpy.proof.gather import gather
from kbuildpy.proof.sbom import sbom_of
from kbuildpy.proof.spdx import SpdxGraph

EXAMPLES = (
    "kbuildpy sbom build/6.1.0-56-amd64/hello.ko -o hello.spdx.json",
    "kbuildpy sbom build --split sbom",
    "kbuildpy sbom signed/hello.ko.xz --build build/6.1.0-56-amd64 -o hello.spdx.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy sbom`."""
    parser.epilog = (
        "The time in the documents is SOURCE_DATE_EPOCH, else that of the newest module, so that the same modules give "
        "the same documents. Exit status: 0 done; 1 a module was not built here, or something has changed since; 2 the "
        "call was wrong."
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE | DIR", type=named_path, help="modules of one kernel, or directories of them"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o", "--output", metavar="OUT", type=named_path, help="one document with all parts (default: print it)"
    )
    where.add_argument(
        "--split",
        metavar="DIR",
        type=named_path,
        help="three documents, as `make sbom` of a kernel writes them: sbom-source, sbom-build, sbom-output.spdx.json; "
        "for several kernels in a folder for each",
    )
    add_build_output(parser)
    parser.add_argument(
        "--namespace",
        metavar="URI",
        type=named_word,
        help="what the identifiers in the documents begin with (default: one that is made of the contents)",
    )
    add_quiet(parser, "print errors only")


def run(args: argparse.Namespace) -> int:
    """Write the documents."""
    paths = find_modules(args.files)
    if not paths:
        raise UsageError(f"no modules (.ko) in {', '.join(map(str, args.files))}")
    if args.namespace and ":" not in args.namespace:
        raise UsageError(f"--namespace {args.namespace}: not a URI", hint="such as https://example.org/sbom/hello-1.0")
    require_folder(args.output)
    builds: dict[Path, list[ModuleOfBuild]] = {}
    for path in paths:
        found = find_build(path, args.build)
        builds.setdefault(found.out, []).append(found)
    if len(builds) > 1 and not args.split:
        raise UsageError(
            f"the modules are of {len(builds)} builds, and a document is about one", hint="--split DIR writes them all"
        )
    files: list[tuple[Path, str]] = []
    for out, modules in builds.items():
        record = gather(modules, present=os.environ, whole=False)
        graph = sbom_of(record, out, created=_created(paths), namespace=args.namespace or "")
        if args.split:
            files += _split(graph, args.split / out.name if len(builds) > 1 else args.split)
        elif args.output:
            files.append((args.output, graph.document()))
        else:
            sys.stdout.write(graph.document())
    for path, text in files:
        if args.split:
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as slot:
            slot.write(text.encode(), mode=0o666 & ~umask())
    if files and not args.quiet:
        print(f"kbuildpy: wrote {', '.join(str(path) for path, _ in files)}", file=sys.stderr)
    return 0


def _split(graph: SpdxGraph, directory: Path) -> list[tuple[Path, str]]:
    return [(directory / f"sbom-{part}.spdx.json", text) for part, text in graph.documents().items()]


def _created(paths: Sequence[Path]) -> str:
    """The time for the documents. Raises `UsageError` for a SOURCE_DATE_EPOCH that is no number."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        seconds = int(epoch) if epoch else int(max(path.stat().st_mtime for path in paths))
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"SOURCE_DATE_EPOCH={epoch}: not a number of seconds since 1970") from error

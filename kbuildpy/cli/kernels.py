# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernels`: the kernel trees that modules can be built against, and those that apt offers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from kbuildpy.cli.kernels_table import print_table
from kbuildpy.cli.offered_kernels import fetch, list_available, remove
from kbuildpy.cli.shared_options import add_format, add_quiet
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.built import built_sets, is_built
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.fetched import built_trees, fetched_root, fetched_trees, is_fetched
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable, printable_error

EXAMPLES = (
    "kbuildpy kernels",
    "kbuildpy kernels --available '6.1.0-*'",
    "kbuildpy kernels --fetch '6.1.0-5?-amd64' --fetch '6.12.*-amd64'",
    "kbuildpy kernels --remove '6.1.0-*'",
)

_HEADINGS = ("", "RELEASE", "ARCH", "COMPILER", "MODVERSIONS", "SIGNATURES", "BTF", "COMPLETE", "PATH")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `kbuildpy kernels`."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--available",
        nargs="?",
        const="*",
        metavar="PATTERN",
        help="list the kernels that apt offers; PATTERN is one of releases, such as '6.1.0-*'",
    )
    chosen.add_argument(
        "--fetch",
        action="append",
        default=[],
        metavar="PATTERN",
        help="download and unpack the headers of these kernels, for -k of every command; nothing is installed",
    )
    chosen.add_argument(
        "--remove", action="append", default=[], metavar="PATTERN", help="remove kernels that were fetched"
    )
    parser.add_argument("--images", action="store_true", help="with --fetch: their images and modules, too")
    add_format(parser, "a table (default), or one JSON object per line")
    add_quiet(parser, "print the releases only, one a line")


def run(args: argparse.Namespace) -> int:
    """Print one line for each kernel on standard output, and the default tree with the reason on standard error."""
    if args.images and not args.fetch:
        raise UsageError("--images belongs to --fetch", hint="kbuildpy kernels --fetch PATTERN --images")
    if args.available is not None:
        return list_available(args)
    if args.fetch:
        return fetch(args)
    if args.remove:
        return remove(args)
    return _list_trees(args)


def _list_trees(args: argparse.Namespace) -> int:
    installed, fetched, built = installed_trees(), fetched_trees(), built_trees()
    broken = (*installed.broken, *fetched.broken, *built.broken)
    default = _default()
    trees = [*installed.trees, *fetched.trees, *built.trees]
    if default and default.place not in {tree.objects for tree in trees}:
        trees.append(default.the_tree())
    facts = [_facts(tree, is_default=default is not None and default.place == tree.objects) for tree in trees]
    if args.format == "json":
        for fact in facts:
            print(json.dumps(fact))
        for path, error in broken:
            print(json.dumps({"path": str(path), "error": error.message, "hint": error.hint}))
    elif args.quiet:
        print("\n".join(dict.fromkeys(str(fact["release"]) for fact in facts)))
    elif facts:
        print_table([_HEADINGS, *map(_row, facts)])
    for path, error in broken:
        print(f"kbuildpy: {printable_error(f'cannot use {path}: {error.message}', error.hint)}", file=sys.stderr)
    if fetched.trees and not args.quiet:
        print(f"f fetched (kbuildpy kernels --fetch), below {printable(str(fetched_root()))}", file=sys.stderr)
    if built.trees and not args.quiet:
        print("b built (kbuildpy kernel build)", file=sys.stderr)
    if default and not args.quiet:
        print(f"* default: {printable(default.reason)}", file=sys.stderr)
    return 0


def _default() -> ChosenKernel | None:
    try:
        return resolve_one((), Need.TREE, environ=os.environ)
    except KbuildError as error:
        # A KDIR that does not exist does not keep the trees from being listed.
        if not (os.environ.get("KDIR") or os.environ.get("KERNELRELEASE")):
            raise
        print(f"kbuildpy: {printable_error(f'no default: {error.message}', error.hint)}", file=sys.stderr)
        return None


def _facts(tree: KernelTree, *, is_default: bool) -> dict[str, object]:
    compiler = compiler_of(tree, cross_compile=os.environ.get("CROSS_COMPILE", ""))
    modversions = modversions_of(tree)
    policy = signing_policy_of(tree)
    btf = btf_of(tree)
    missing = missing_parts(tree)
    return {
        "release": tree.release,
        "path": str(tree.objects),
        "source": str(tree.source),
        "default": is_default,
        "fetched": is_fetched(tree.objects) and not is_built(tree.objects),
        "built": is_built(tree.objects),
        "with": built_sets(tree.objects),
        "architecture": str(architecture_of(tree)),
        "compiler": compiler.program,
        "compiler_installed": compiler.installed,
        "compiler_package": compiler.package,
        "built_with": compiler.built_with,
        "modversions": modversions.enabled,
        "modversions_generator": modversions.generator or None,
        "signatures": str(policy),
        "signatures_verified": policy.verifies,
        "signatures_required": policy.required or policy.locked_down,
        "signature_hash": policy.hash or None,
        "lockdown": policy.lockdown,
        "btf": str(btf),
        "complete": not missing,
        "missing": list(missing),
    }


def _row(fact: dict[str, object]) -> tuple[str, ...]:
    compiler = f"{fact['compiler']}" if fact["compiler_installed"] else f"missing: {fact['compiler_package']}"
    missing = fact["missing"]
    assert isinstance(missing, list)
    return (
        ("*" if fact["default"] else "") + ("f" if fact["fetched"] else "") + ("b" if fact["built"] else ""),
        str(fact["release"]),
        str(fact["architecture"]),
        compiler,
        "yes" if fact["modversions"] else "no",
        str(fact["signatures"]),
        str(fact["btf"]),
        f"no {', '.join(Path(name).name for name in missing)}" if missing else "yes",
        str(fact["path"]),
    )

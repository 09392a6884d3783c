# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernels`: the kernel trees that modules can be built against."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, add_quiet
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable, printable_error

EXAMPLES = ("kbuildpy kernels", "kbuildpy kernels --format json")

_HEADINGS = ("", "RELEASE", "ARCH", "COMPILER", "MODVERSIONS", "SIGNATURES", "BTF", "COMPLETE", "PATH")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `kbuildpy kernels`."""
    add_format(parser, "a table (default), or one JSON object per line")
    add_quiet(parser, "print the releases only, one a line")


def run(args: argparse.Namespace) -> int:
    """Print one line for each tree on standard output, and the default tree with the reason on standard error."""
    installed = installed_trees()
    default = _default()
    trees = list(installed.trees)
    if default and default.place not in {tree.objects for tree in trees}:
        trees.append(default.the_tree())
    facts = [_facts(tree, is_default=default is not None and default.place == tree.objects) for tree in trees]
    if args.format == "json":
        for fact in facts:
            print(json.dumps(fact))
        for path, error in installed.broken:
            print(json.dumps({"path": str(path), "error": error.message, "hint": error.hint}))
    elif args.quiet:
        print("\n".join(str(fact["release"]) for fact in facts))
    elif facts:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(map(printable, _table([_HEADINGS, *map(_row, facts)], width=width))))
    for path, error in installed.broken:
        print(f"kbuildpy: {printable_error(f'cannot use {path}: {error.message}', error.hint)}", file=sys.stderr)
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
        "*" if fact["default"] else "",
        str(fact["release"]),
        str(fact["architecture"]),
        compiler,
        "yes" if fact["modversions"] else "no",
        str(fact["signatures"]),
        str(fact["btf"]),
        f"no {', '.join(Path(name).name for name in missing)}" if missing else "yes",
        str(fact["path"]),
    )


def _table(rows: Sequence[Sequence[str]], *, width: int | None) -> list[str]:
    """`rows` in aligned columns. If they are wider than `width`, the last column has a line of its own."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is None or sum(widths) + 2 * len(widths) <= width + 2:
        return [_line(row, widths) for row in rows]
    lines = [_line(rows[0][:-1], widths)]
    for row in rows[1:]:
        lines += [_line(row[:-1], widths), f"{' ' * (widths[0] + 4)}{row[-1]}"]
    return lines


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()

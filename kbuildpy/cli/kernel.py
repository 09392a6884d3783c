# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernel build`: a small kernel for testing modules, from sources."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kbuildpy.cli.kernel_options import (
    images_of,
    line_of,
    make_kernel,
    print_sets,
    set_names,
)
from kbuildpy.cli.shared_options import add_compilers, add_format, add_quiet, add_sets, named_path
from kbuildpy.errors import UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.kernel_build.needed_options import imports_of
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.printable import printable
from kbuildpy.say import complain, say
from kbuildpy.similar import did_you_mean

EXAMPLES = (
    "kbuildpy kernel build --with kasan,lockdep",
    "kbuildpy kernel build 6.12 --like 6.12.117+deb12-amd64 --for hello.ko",
    "kbuildpy kernel build ~/src/linux --llvm --with kcsan --name mine",
    "kbuildpy kernel build --with help",
)

_ACTIONS = ("build",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy kernel`."""
    parser.epilog = (
        "The kernel is kept beside fetched ones: every command takes it as -k RELEASE, `kbuildpy kernels` lists it and "
        "removes it. A kernel whose sources, options and compiler are as they were is not built again; a build that "
        "was interrupted goes on."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="build [SOURCE]",
        help="SOURCE: a directory, an archive, or the line of a distribution's package, such as 6.1 (default: the line "
        "of the kernel that -k of other commands would take)",
    )
    add_sets(parser, "sets of options, such as kasan,lockdep; `--with help` lists them")
    parser.add_argument("--config", metavar="FILE", type=named_path, help="more options: a piece of a configuration")
    parser.add_argument(
        "--like",
        metavar="KERNEL",
        help="follow the configuration of this kernel (as of -k), without its drivers, file systems and protocols",
    )
    parser.add_argument(
        "--for",
        action="append",
        default=[],
        dest="for_files",
        metavar="FILE.ko|DIR",
        type=named_path,
        help="add the options behind the symbols that these modules import",
    )
    add_compilers(parser)
    parser.add_argument("--rust", action="store_true", help="with modules in Rust: the same as --with rust")
    parser.add_argument("--arch", default="", metavar="ARCH", help="for another machine: arm64, riscv64 (cross-built)")
    parser.add_argument(
        "--name", default="", metavar="NAME", help="end the release with NAME, not with the sets' names"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the options that are asked for, and build nothing"
    )
    add_format(parser, "text (default), or one JSON object")
    add_quiet(parser, "print the release only")


def run(args: argparse.Namespace) -> int:
    """Build the kernel, and print its release."""
    if set_names(args.sets) == ["help"]:
        print_sets()
        return 0
    wanted = _wanted(args)
    if args.print_config:
        options = recipe_of(wanted, tell=lambda text: complain(f"kbuildpy: {printable(text)}")).options
        say(
            "\n".join(
                f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"
                for name, value in options.items()
            )
        )
        return 0
    recipe, tree = make_kernel(wanted, quiet=args.quiet)
    missing = _missing(wanted, tree.objects / "Module.symvers")
    if args.format == "json":
        facts = {
            "release": tree.release,
            "path": str(tree.objects),
            "source": str(tree.source),
            "with": [each.name for each in recipe.sets],
            "missing_symbols": missing,
        }
        say(json.dumps(facts))
    elif args.quiet:
        say(tree.release)
    else:
        say(f"{tree.release}: {printable(str(tree.objects))}")
        complain(f"kbuildpy: every command takes it: -k {tree.release}")
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        complain(f"kbuildpy: warning: the kernel does not export {printable(shown)}, which the modules of --for import")
    return 0


def _wanted(args: argparse.Namespace) -> Wanted:
    action, *rest = args.words or [""]
    if action not in _ACTIONS:
        raise UsageError(
            f"{printable(action) or 'no action'}: kernel build", hint=did_you_mean(action, _ACTIONS) or EXAMPLES[0]
        )
    if len(rest) > 1:
        raise UsageError(f"kernel build: one source at a time, not {printable(' '.join(rest))}")
    like = resolve_one([args.like], Need.TREE) if args.like else None
    files = [file for path in args.for_files for file in _modules_at(path)]
    line = ""
    if not rest:
        line = line_of([args.like] if args.like else [])
    return Wanted(
        source=rest[0] if rest else "",
        line=line,
        sets=[*set_names(args.sets), *(["rust"] if args.rust else [])],
        config=args.config,
        like=like.the_tree() if like else None,
        modules=images_of(files),
        llvm=args.llvm,
        arch=args.arch,
        name=args.name,
        update=args.update,
    )


def _modules_at(path: Path) -> list[Path]:
    found = find_modules([path]) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"--for {path}: no modules below it", hint="build them first: kbuildpy build DIR")
    return list(found)


def _missing(wanted: Wanted, symvers: Path) -> list[str]:
    """The symbols that modules of `--for` import and the kernel does not export."""
    if not wanted.modules or not symvers.is_file():
        return []
    exported = {line.split("\t")[1] for line in symvers.read_text().splitlines() if line.count("\t") > 1}
    return sorted(imports_of(wanted.modules) - exported)

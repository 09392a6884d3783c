# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy install`: modules_install, for the output of `kbuildpy build` and for module files."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from kbuildpy.cli.progress import print_line, with_bar
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
from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import UsageError
from kbuildpy.install.depmod import depmod_runs, index_modules
from kbuildpy.install.module import target_of
from kbuildpy.install.modules import (
    BuiltModule,
    NotBuilt,
    built_release,
    check_release,
    module_files,
    modules_for,
    modules_of_build,
)
from kbuildpy.install.rivals import tell_rivals
from kbuildpy.install.stage import install_modules
from kbuildpy.install.undo import undo_sentence
from kbuildpy.kbuild.ask_install import ask_install
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.output_folder import output_folder
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable
from kbuildpy.signing.choose_signer import choose_signer
from kbuildpy.signing.manifest import Manifest
from kbuildpy.similar import similar_file

# These variables choose the tree, and are not passed on to make.
_CHOOSING = ("KDIR", "KERNELRELEASE", "INSTALL_MOD_PATH")


EXAMPLES = (
    "kbuildpy install DIR -k all --root STAGE INSTALL_MOD_STRIP=1",
    "kbuildpy install hello.ko -k 6.1.0-56-amd64 --key signing_key.pem --cert signing_key.crt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy install`."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR | FILE.ko | VAR=VALUE",
        help="directories that were built (default: here) or that contain modules; modules; variables, as for make",
    )
    add_kernels(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=named_path, help="the output directory of the build (default: DIR/build)"
    )
    parser.add_argument("--root", metavar="PATH", type=named_path, help="install below PATH, as INSTALL_MOD_PATH=PATH")
    add_jobs(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done")
    add_quiet(parser, "print warnings and errors only", besides=["-s", "--silent"])
    add_verbose(parser, "also print the commands that strip and compress")
    add_format(parser, "text (default), or one JSON object for each module that was installed")
    parser.add_argument(
        "--key",
        metavar="KEY",
        type=named_word,
        help="sign with this key, also if the kernel tree's configuration says otherwise",
    )
    parser.add_argument(
        "--cert", metavar="CERT", type=named_word, help="the key's certificate (default: the one in KEY)"
    )
    parser.add_argument("--hash", metavar="ALGO", help="the digest to sign (default: the kernel tree's)")
    parser.add_argument(
        "--depmod",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="run depmod afterwards (default: as the kernel tree does; always for the running system)",
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        type=named_path,
        help="add a line of JSON for each module that was installed",
    )


def run(args: argparse.Namespace) -> int:
    """Install modules for one kernel or several; the exit status."""
    paths, variables = split_words(args.words)
    job_count(args)
    if (args.cert or args.hash) and not args.key:
        raise UsageError("--cert and --hash are for signing with --key", hint="add --key KEY")
    files = [Path(path) for path in paths if path.endswith(".ko") and not Path(path).is_dir()]
    directories = [Path(path) for path in paths if not path.endswith(".ko") or Path(path).is_dir()]
    if not paths:
        directories = [Path()]
    if args.output and len(directories) != 1:
        raise UsageError(f"-o {args.output}: one output directory for {len(directories)} directories")
    found = resolve(args.kernels, Need.TREE, variables=variables, environ=os.environ)
    if not args.kernels and not found[0].by_kdir:
        print(f"kbuildpy: {printable(found[0].reason)}", file=sys.stderr)
    # All modules are found before the first one is installed.
    trees = [kernel.the_tree() for kernel in found]
    _refuse_two_of_a_release(trees)
    modules = _modules_of_kernels(trees, directories, files, args)
    with ExitStack() as stack:
        manifest = Manifest(args.manifest) if args.manifest and not args.dry_run else None
        if manifest is not None:
            stack.callback(manifest.close)
        for tree, chosen in modules:
            _install(tree, chosen, variables, args, manifest)
    return 0


def _refuse_two_of_a_release(trees: list[KernelTree]) -> None:
    of_release: dict[str, KernelTree] = {}
    for tree in trees:
        other = of_release.setdefault(tree.release, tree)
        if other is not tree:
            raise UsageError(
                f"{other.objects} and {tree.objects} are both of {tree.release}: the modules of one would replace the "
                "other's",
                hint="install them in two calls, each with --root",
            )


def _modules_of_kernels(
    trees: list[KernelTree], directories: list[Path], files: list[Path], args: argparse.Namespace
) -> list[tuple[KernelTree, list[BuiltModule]]]:
    """The modules to install, by kernel. `-k all` leaves out kernels without built modules, with a message."""
    if "all" not in args.kernels:
        return [(tree, _modules(tree, directories, files, args.output)) for tree in trees]
    releases = {file: built_release(file) for file in files}
    unknown = [file for file, release in releases.items() if release not in {tree.release for tree in trees}]
    if unknown:
        check_release(unknown[0], trees[-1].release)
    found: list[tuple[KernelTree, list[BuiltModule]]] = []
    lacking: list[NotBuilt] = []
    for tree in trees:
        chosen = [file for file in files if releases[file] == tree.release]
        modules = []
        for directory in directories:
            try:
                modules += _modules(tree, [directory], [], args.output)
            except NotBuilt as error:
                lacking.append(error)
                _warn(f"kbuildpy: {error.message}; left out")
        if modules or chosen:
            found.append((tree, modules + module_files(chosen)))
    if not found and lacking:
        raise lacking[0]
    return found


def _modules(tree: KernelTree, directories: list[Path], files: list[Path], out: Path | None) -> list[BuiltModule]:
    found = []
    for directory in directories:
        if not directory.is_dir():
            raise UsageError(
                f"{directory}: no such directory",
                hint=similar_file(directory) or "name a directory that was built, or .ko files",
            )
        folder = output_folder((out or directory / "build").absolute(), tree)
        built = ("Kbuild", "Makefile", f"build/{folder.name}/modules.order")
        if not out and not any((directory / name).is_file() for name in built):
            loose = modules_for(directory, tree.release)
            if loose:
                found += loose
                continue
        found += modules_of_build(directory.resolve(), folder)
    return found + module_files(files)


def _install(
    tree: KernelTree,
    modules: list[BuiltModule],
    variables: dict[str, str],
    args: argparse.Namespace,
    manifest: Manifest | None,
) -> None:
    given = {name: value for name, value in variables.items() if name not in _CHOOSING}
    rules = ask_install(tree, variables=given, environ=os.environ)
    root = args.root or variables.get("INSTALL_MOD_PATH") or os.environ.get("INSTALL_MOD_PATH") or ""
    signer = None
    if args.key:
        signer = choose_signer(
            args.key,
            args.cert or "",
            args.hash or "",
            kernel_hash=lambda: signing_policy_of(tree).hash,
            passphrase=ask_passphrase,
        )
        if warning := signer.warn_of_issuer("`kbuildpy sign --embed-certificates`, before, adds it"):
            _warn(f"kbuildpy: warning: {signer.name}: {warning}")
    place = str(Path(root).absolute()).rstrip("/") if root else ""
    lines = install_modules(
        modules,
        rules,
        release=tree.release,
        root=place,
        environ=os.environ,
        jobs=job_count(args) or os.cpu_count() or 1,
        signer=signer,
        manifest=manifest,
        # The path as it was named: a stage may be moved before it is verified.
        manifest_root=str(Path(root)).rstrip("/") if root else "",
        dry_run=args.dry_run,
        warn=_warn,
    )
    lines, say = with_bar(lines, len(modules), quiet=args.quiet)
    in_words = args.format == "text"
    if args.verbose and in_words:
        for words in (rules.strip, rules.compress):
            say(f"  {shlex.join([*words, 'MODULE'])}") if words else None
    for module, line in zip(modules, lines, strict=True):
        if not in_words:
            target = target_of(module.name, rules, place)
            installed = {"file": str(target), "kernel": tree.release, "source": str(module.source)}
            say(json.dumps({**installed, "installed": not args.dry_run}))
        elif not args.quiet:
            say("\n".join(map(printable, line.split("\n"))))
    tell: Callable[[str], None] = say if in_words else _warn
    if args.quiet:
        tell = _say_nothing
    index_modules(
        rules,
        root=place,
        environ=os.environ,
        dry_run=args.dry_run,
        say=tell,
        warn=_warn,
        wanted=args.depmod,
    )
    tell_rivals(
        Path(f"{place}{rules.modlib}"),
        [f"{rules.folder}/{module.name}{rules.suffix}" for module in modules],
        release=tree.release,
        indexed=not args.dry_run and depmod_runs(rules, place, wanted=args.depmod),
        say=tell,
        warn=_warn,
    )
    if in_words and not (args.quiet or args.dry_run or place):
        _warn(undo_sentence([target_of(module.name, rules, place) for module in modules], tree.release))


def _say_nothing(line: str) -> None:
    pass


def _warn(line: str) -> None:
    # (paths, and depmod's messages about modules)
    print_line("\n".join(map(printable, line.split("\n"))), error=True)

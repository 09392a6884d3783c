# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy preflight`: what this machine would lose with another kernel."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from kbuildpy.cli.preflight_build import judge_built
from kbuildpy.cli.preflight_hold import hold_kernels
from kbuildpy.cli.shared_options import add_certificates, add_format, add_verbose, named_path
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.enforcement import enforcement
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.find_image import root_of_kernel
from kbuildpy.kernel.installed import installed_images
from kbuildpy.kernel.release import is_release, release_order
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.loader.kernels.keys import with_certificates
from kbuildpy.preflight.findings import Preflight
from kbuildpy.preflight.judge import judge_modules, judge_settings
from kbuildpy.preflight.machine import dkms_sources, loaded_modules, settings
from kbuildpy.preflight.subjects import candidates, module_set
from kbuildpy.preflight.text import module_finding_json, preflight_lines, setting_finding_json
from kbuildpy.printable import printable
from kbuildpy.similar import similar_file

EXAMPLES = (
    "kbuildpy preflight",
    "kbuildpy preflight --from running --to 6.12.117+deb12-amd64 -v",
    "kbuildpy preflight --to 6.12.117+deb12-amd64 drv.ko",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy preflight`."""
    parser.epilog = (
        "Looks at the modules that are loaded and at those that are installed beside the kernel's own (updates, extra, "
        "weak-updates). Exit status: 0 nothing would be lost; 1 something would; 2 the call was wrong."
    )
    parser.add_argument(
        "words", nargs="*", metavar="FILE | DIR | NAME", help="modules to look at, in place of those of the machine"
    )
    parser.add_argument(
        "--from", metavar="A", dest="old", help="the present kernel's release (default: the running one)"
    )
    parser.add_argument(
        "--to",
        metavar="B",
        dest="new",
        help="the other kernel: a release, or the path of a kernel tree or image (default: the newest one installed "
        "that is not A)",
    )
    parser.add_argument("--root", metavar="DIR", type=named_path, default=Path("/"), help="look at the system in DIR")
    add_certificates(parser)
    parser.add_argument("--sig-enforce", action="store_true", help="B will be started with module.sig_enforce=1")
    parser.add_argument("--lockdown", action="store_true", help="B will be locked down (Secure Boot)")
    parser.add_argument(
        "--build",
        action="store_true",
        help="build modules that have to be built for B and have sources with a dkms.conf in /usr/src, and check them; "
        "nothing is kept",
    )
    parser.add_argument(
        "--hold",
        action="store_true",
        help="fetch the kernel that the next upgrade by apt would install, judge it as with --build, and hold its "
        "package back while modules would be lost",
    )
    add_verbose(parser, "also list the modules that would not be lost")
    add_format(parser, "a table (default), or one JSON object per line: for each module, then for each setting")


def run(args: argparse.Namespace) -> int:
    """Print what would be lost; 1 if anything would."""
    root: Path = args.root
    if not root.is_dir():
        raise UsageError(f"--root {root}: no such directory", hint=similar_file(root))
    if "" in args.words:
        raise UsageError("an empty name")
    if args.hold:
        if args.words or args.new is not None or root != Path("/"):
            raise UsageError(
                "--hold takes the kernel that apt would install, on this machine", hint="leave the rest out"
            )
        return hold_kernels(partial(_judge_fetched, args), partial(_show, args))
    old = _old_release(args, root)
    found = _judge(args, old, _new_kernel(args, old, root), root, build=args.build)
    _show(args, found)
    return 0 if found.is_fine else 1


def _judge_fetched(args: argparse.Namespace, release: str) -> Preflight:
    """What would be lost with a kernel that was fetched; what can be built for it would not."""
    chosen = resolve_one([release], Need.TREE)
    return _judge(args, _old_release(args, Path("/")), chosen, Path("/"), build=True)


def _judge(args: argparse.Namespace, old: str, chosen: ChosenKernel, root: Path, *, build: bool) -> Preflight:
    kernel, enforces = _started(args, _opened(chosen, root), root)
    if kernel.release == old:
        raise UsageError(f"--from and --to are both {old}", hint="name another kernel: --to RELEASE")
    before = module_set(root / "lib/modules" / old, old)
    own = kernel.own_modules
    after = module_set(own.directory if own else root / "lib/modules" / kernel.release, kernel.release)
    looked_at = candidates(args.words, loaded_modules(root), before)
    sources = dkms_sources(root)
    judged = judge_modules(looked_at, kernel, before, after, sources)
    if build:
        if chosen.tree is None:
            raise UsageError(
                f"--build: no headers of {kernel.release} here",
                hint=f"kbuildpy kernels --fetch {kernel.release}, or install them",
            )
        judged = judge_built(judged, kernel, chosen.tree, (before, after), sources)
    found = () if args.words else tuple(judge_settings(list(settings(root)), before, after))
    return Preflight(old, kernel.release, tuple(judged), found, enforces)


def _show(args: argparse.Namespace, found: Preflight) -> None:
    if args.format == "json":
        for module in found.modules:
            print(json.dumps(module_finding_json(module, found.old, found.new)))
        for setting in found.settings:
            print(json.dumps(setting_finding_json(setting, found.old, found.new)))
    else:
        for line in preflight_lines(found, verbose=args.verbose):
            print(printable(line))


def _old_release(args: argparse.Namespace, root: Path) -> str:
    """The release of the present kernel: none has to be installed, but it has to be a release."""
    if args.old is None or args.old == "running":
        if root == Path("/") or args.old:
            return os.uname().release
        found = [release for release in _installed(root) if release != args.new]
        if len(found) < (1 if args.new else 2):
            raise UsageError(f"--root {root}: which kernel is the present one?", hint="name it: --from RELEASE")
        return found[-1] if args.new else found[-2]
    if not is_release(args.old):
        raise UsageError(f"--from {args.old}: no release of a kernel", hint="see uname -r, and ls /lib/modules")
    return str(args.old)


def _new_kernel(args: argparse.Namespace, old: str, root: Path) -> ChosenKernel:
    if args.new is not None:
        return resolve_one([args.new], Need.EITHER, root=root)
    found = [release for release in _installed(root) if release != old]
    if not found:
        raise UsageError(f"no other kernel than {old} is installed", hint="name one: --to RELEASE, or a path")
    return resolve_one([found[-1]], Need.EITHER, root=root)


def _installed(root: Path) -> Sequence[str]:
    """The releases that are installed, from the oldest to the newest."""
    trees = [tree.release for tree in installed_trees(root).trees]
    return sorted({*trees, *installed_images(root)}, key=release_order)


def _opened(chosen: ChosenKernel, root: Path) -> LoaderKernel:
    if root == Path("/"):
        root = root_of_kernel(chosen)
    return loader_kernel(chosen, partial(ask_module_facts, environ=os.environ), root=root)


def _started(args: argparse.Namespace, kernel: LoaderKernel, root: Path) -> tuple[LoaderKernel, str]:
    """The kernel as it will be started, and why it enforces signatures; "" if it does not."""
    enforced, locked = enforcement(root) if root == Path("/") else (False, False)
    reasons = {
        "it is built to enforce signatures": bool(kernel.has("MODULE_SIG_FORCE")),
        "signatures are enforced (--sig-enforce)": args.sig_enforce,
        "it is locked down (--lockdown)": args.lockdown,
        "the running kernel enforces signatures": enforced,
        "the running kernel is locked down": locked,
    }
    started = replace(kernel, sig_enforce=args.sig_enforce or enforced, lockdown=args.lockdown or locked)
    try:
        started = with_certificates(started, args.cert)
    except KbuildError as error:
        raise UsageError(f"--cert: {error.message}", hint=error.hint) from error
    return started, next((reason for reason, is_so in reasons.items() if is_so), "")

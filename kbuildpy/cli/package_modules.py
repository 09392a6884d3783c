# SPDX-License-Identifier: GPL-2.0-only
"""The work of `kbuildpy package`, apart from its arguments: it imports the loader's stages, and cryptography."""

from __future__ import annotations

import argparse
import functools
import json
import os
import shlex
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from kbuildpy.cli.package_conf import wish_with_conf
from kbuildpy.cli.package_sources import package_sources
from kbuildpy.cli.shared_options import job_count
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.kernel.resolve import resolve, resolve_release
from kbuildpy.loader.check import built_for
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.package.admit import Admitted, Policy, admit
from kbuildpy.package.collect import PackageWish, make_package, modules_of_kernels, read_modules
from kbuildpy.package.formats import FormatWish, format_of, refuse_foreign_options
from kbuildpy.package.module_package import UPDATES, ModulePackage
from kbuildpy.package.sysext import SysextWish
from kbuildpy.package.write_package import digest_of, package_scratch, write_package
from kbuildpy.printable import printable
from kbuildpy.similar import no_such_path


def package_modules(args: argparse.Namespace) -> int:
    """Write a package for each kernel. All of them are checked before the first one is written."""
    jobs = job_count(args)
    if not args.files:
        raise UsageError("nothing to package", hint="name modules, or directories of them")
    missing = next((path for path in args.files if not path.exists()), None)
    if missing is not None:
        raise no_such_path(missing)
    wish = _wish(args)
    given = (name for name, value in vars(args).items() if value)
    refuse_foreign_options(args.package, given, lambda name: f"--{name.replace('_', '-')}")
    if args.package == "dkms-deb":
        return package_sources(args, wish.copyright)
    kernels = _kernels(args)
    modules = read_modules(args.files, [kernel.release for kernel in kernels], wish.folder)
    by_release = modules_of_kernels(modules, [kernel.release for kernel in kernels])
    say = functools.cache(partial(_say, quiet=args.quiet))  # (each line once)
    packages = [
        make_package(found, release, wish_with_conf(wish, found, args.files, release, say), os.environ)
        for release, found in by_release.items()
    ]
    kernels = [kernel for kernel in kernels if kernel.release in {package.release for package in packages}]
    formats = [format_of(args.package, _format_wish(args), kernel.exports) for kernel in kernels]
    _tell_unchecked_signatures(args, packages)
    for package, format in zip(packages, formats, strict=True):
        format.check(package)
    needed = find_modules(args.needs)
    policy = Policy(args.require_signature, tuple(args.cert))
    output = args.output or Path()
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as name:
        admitted = []
        for package, kernel in zip(packages, kernels, strict=True):
            place = Path(name, package.release)
            place.mkdir()
            admitted.append(admit(package, kernel, policy, needed=needed, scratch=place, jobs=jobs))
    with package_scratch(output) as scratch:
        for number, (package, format, states) in enumerate(zip(packages, formats, admitted, strict=True)):
            place = scratch / f"build-{number}"
            place.mkdir()
            files = write_package(package, format, output, place, os.environ)
            _report(args, package, states, files)
    return 0


def _say(line: str, *, quiet: bool) -> None:
    if not quiet:
        print(f"kbuildpy: {printable(line)}", file=sys.stderr)


def _wish(args: argparse.Namespace) -> PackageWish:
    text = ""
    if args.copyright:
        try:
            text = args.copyright.read_text(errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"{args.copyright}: {error.strerror}") from error
    return PackageWish(
        args.name or "",
        args.version or "",
        args.maintainer or "",
        args.summary or "",
        args.folder or UPDATES,
        tuple(args.depends),
        text,
    )


def _format_wish(args: argparse.Namespace) -> FormatWish:
    return FormatWish(
        args.compression or "zst",
        args.weak,
        SysextWish(
            args.file_system or "squashfs",
            args.os or "_any",
            args.os_version or "",
            args.level or "",
            args.verity,
            args.verity_key or "",
            args.verity_cert or "",
        ),
        args.cp,
    )


def _kernels(args: argparse.Namespace) -> list[LoaderKernel]:
    """The kernels, each release once. Prints which one was taken if no option named one."""
    is_named = args.kernels or os.environ.get("KDIR") or os.environ.get("KERNELRELEASE")
    chosen = resolve(args.kernels, Need.EITHER, environ=os.environ) if is_named else [_kernel_of_modules(args)]
    for item in chosen:
        if not args.kernels and not item.by_kdir:
            print(f"kbuildpy: {printable(item.reason)}", file=sys.stderr)
    kernels = [loader_kernel(item, partial(ask_module_facts, environ=os.environ)) for item in chosen]
    releases = [kernel.release for kernel in kernels]
    twice = next((release for release in releases if releases.count(release) > 1), None)
    if twice is not None:
        raise UsageError(f"two kernels have the release {twice}", hint="package modules for them in two calls")
    return kernels


def _kernel_of_modules(args: argparse.Namespace) -> ChosenKernel:
    """The kernel to package for where none is named: the default one, or the one that the modules were built for.

    Raises `UsageError` where they were built for several and not for the default one.
    """
    built, _ = built_for(find_modules([path for path in args.files if path.exists()]))
    try:
        [default] = resolve((), Need.EITHER, environ=os.environ)
    except KbuildError:
        if not built:
            raise
        default = None
    if default is not None and (not built or default.release in built):
        others = [release for release in built if release != default.release]
        if others:
            print(
                f"kbuildpy: only modules for {default.release} are packaged, not those for "
                f"{printable(', '.join(others))}: a package for each kernel takes -k all",
                file=sys.stderr,
            )
        return default
    if len(built) > 1:
        words = " ".join(f"-k {shlex.quote(release)}" for release in built)
        raise UsageError(
            f"for which kernel? The modules were built for {printable(', '.join(built))}",
            hint=f"name one, or several for a package each: {printable(words)}",
        )
    [release] = built
    found = resolve_release(release, Need.EITHER)
    return replace(found, reason=f"The modules were built for {release}, so the package is for that kernel.")


def _tell_unchecked_signatures(args: argparse.Namespace, packages: list[ModulePackage]) -> None:
    """Tell of signatures that nobody asked to have checked."""
    signed = any(module.info.signature for package in packages for module in package.modules)
    if signed and not (args.cert or args.require_signature or args.quiet):
        print(
            "kbuildpy: the modules are signed, and no certificate is named: --cert FILE has their signatures checked "
            "as machines do it that have enrolled it",
            file=sys.stderr,
        )


def _report(args: argparse.Namespace, package: ModulePackage, states: list[Admitted], files: list[Path]) -> None:
    if args.format == "json":
        value = {
            "file": str(files[0]),
            "format": args.package,
            "kernel": package.release,
            "name": package.name,
            "version": package.version,
            "machine": package.machine.name,
            "date": package.date,
            "size": files[0].stat().st_size,
            "sha256": digest_of(files[0]),
            "beside": [str(path) for path in files[1:]],
            "modules": [
                {
                    "name": item.module.name,
                    "place": item.module.place,
                    "source": str(item.module.source),
                    "sha256": item.module.digest,
                    "signed": item.signature.signed,
                    "trusted": item.signature.trusted,
                    "signer": item.signature.signer,
                    "unchecked": list(item.unchecked),
                }
                for item in states
            ],
        }
        print(json.dumps(value), flush=True)
        return
    if args.quiet:
        return
    for item in states:
        for sentence in item.unchecked:
            print(f"kbuildpy: {item.module.source}: not checked: {printable(sentence)}", file=sys.stderr)
    count = len(package.modules)
    what = f"{count} module{'s' if count > 1 else ''} for {package.release}"
    print(f"{printable(str(files[0]))}: {what}", flush=True)
    for path in files[1:]:
        print(printable(str(path)), flush=True)

# SPDX-License-Identifier: GPL-2.0-only
"""The work of `kbuildpy package dkms-deb`: sources with a dkms.conf, which is made where there is none.

With -k the sources are unpacked out of the finished package, and built for these kernels from there: what was left out
of the package, and is needed, is noticed before it is written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.cli.init import asking_kbuild
from kbuildpy.cli.package_conf import CONF, conf_for
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.package.dkms_deb import SourcePackage, build_source_deb, licenses_of, newest, read_sources, secrets_below
from kbuildpy.package.format import BuildPlace
from kbuildpy.package.module_package import PackageFile
from kbuildpy.package.package_names import maintainer, package_date, package_name, package_version, text_line
from kbuildpy.package.payload_tree import tool_environment, write_tree
from kbuildpy.package.write_package import digest_of, package_scratch, put_in_place
from kbuildpy.printable import printable
from kbuildpy.run import run
from kbuildpy.scaffold.existing import Existing, read_existing

_CLOSED = "others may not read it here, and everybody can in the package: is it meant to be there?"


def package_sources(args: argparse.Namespace, copyright: str) -> int:
    """Write the package of the one directory that was named."""
    if len(args.files) != 1 or not args.files[0].is_dir():
        raise UsageError("dkms-deb is made from one directory with sources")
    directory: Path = args.files[0]
    trees = (
        [kernel.the_tree() for kernel in resolve(args.kernels, Need.TREE, environ=os.environ)] if args.kernels else []
    )
    existing = None if (directory / CONF).is_file() else _read_existing(directory, args.kernels)
    files = read_sources(directory, _made_conf(existing))
    _tell_secrets(directory)
    output = args.output or Path()
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as name:
        sources = Path(name, "sources")
        write_tree(sources, files, 0)
        conf = _read_conf(sources, trees)
        package = _package(args, files, conf, existing, copyright, newest(directory))
        for number, tree in enumerate(trees):
            _try_build(directory, sources, tree, Path(name, f"out{number}"))
    with package_scratch(output) as scratch:
        place = BuildPlace(scratch, tool_environment(os.environ, package.date, scratch))
        target = output / package.file_name
        put_in_place(lambda: (build_source_deb(package, place),), target)
        size, digest = target.stat().st_size, digest_of(target)
    tried = [tree.release for tree in trees]
    if args.format == "json":
        value = {"file": str(target), "format": "dkms-deb", "name": package.name, "version": package.version}
        print(json.dumps({**value, "date": package.date, "size": size, "sha256": digest, "built_for": tried}))
    elif not args.quiet:
        built = f", built for {', '.join(tried)}" if tried else ", not built (name a kernel with -k to try)"
        print(printable(f"{target}: {len(files)} files{built}"))
    return 0


def _read_existing(directory: Path, kernels: Sequence[str]) -> Existing:
    return read_existing(directory.resolve(), asking_kbuild(list(kernels[:1])), {})


def _made_conf(existing: Existing | None) -> dict[str, bytes]:
    """The files that are made for a directory without a dkms.conf."""
    if existing is None:
        return {}
    from kbuildpy.scaffold.init_files import dkms_conf  # (slow: Jinja2)

    if not existing.has_kbuild:
        raise UsageError(f"{existing.directory}: no Kbuild file", hint=f"write one: kbuildpy init {existing.directory}")
    return {CONF: dkms_conf(existing)}


def _read_conf(sources: Path, trees: Sequence[KernelTree]) -> DkmsConf:
    """The package's dkms.conf, for the first of `trees`, else the running kernel."""
    release = trees[0].release if trees else os.uname().release
    tree = trees[0].objects if trees else Path("/lib/modules", release, "build")
    return conf_for(sources / CONF, release, tree)


def _package(
    args: argparse.Namespace,
    files: Sequence[PackageFile],
    conf: DkmsConf,
    existing: Existing | None,
    copyright: str,
    date: int,
) -> SourcePackage:
    for what, given, stated in (("--name", args.name, conf.name), ("--version", args.version, conf.version)):
        if given and given != stated:
            raise UsageError(f"{what} {printable(given)}: {CONF} says {printable(stated)}", hint=f"change {CONF}")
    name = package_name(conf.name, ())
    return SourcePackage(
        name,
        package_version(conf.version, ()),
        tuple(files),
        package_date(os.environ, date),
        maintainer(args.maintainer or "", (), os.environ),
        text_line(args.summary or (existing.description if existing else "") or f"{name} kernel modules"),
        tuple(licenses_of(files)),
        copyright,
        tuple(args.depends),
    )


def _tell_secrets(directory: Path) -> None:
    keys, closed = secrets_below(directory)
    for names, said in ((keys, "a private key, left out of the package"), (closed, _CLOSED)):
        for name in names:
            print(f"kbuildpy: {printable(name)}: {said}", file=sys.stderr)


def _try_build(directory: Path, sources: Path, tree: KernelTree, out: Path) -> None:
    """Build what is packed for a kernel. Raises `KbuildError` with the build's first error."""
    argv = own_command("build", str(sources), "-k", str(tree.objects), "-o", str(out), "--format", "json", "-q")
    done = run(argv, check=False, begin=partial(end_with, os.getpid()))
    if done.returncode == 0:
        return
    lines = [line.removeprefix("kbuildpy: error: ") for line in done.error_text.splitlines() if "error: " in line]
    said = lines[0] if lines else f"kbuildpy build ended with status {done.returncode}"
    said = said.replace(str(sources), str(directory))
    raise KbuildError(
        f"{directory}: what would be packed is not built for {tree.release}: {printable(said)}",
        hint="nothing was written; files and folders with a dot, build/ and debian/ are left out",
    )

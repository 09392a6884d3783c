# SPDX-License-Identifier: GPL-2.0-only
"""The work of `kbuildpy sign`, apart from its arguments: it imports cryptography."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from kbuildpy.cli.progress import with_bar
from kbuildpy.cli.shared_options import job_count
from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.install.pack import packer
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable, printable_error
from kbuildpy.signing.batch import Pack, SignedFile, attach, save_detached, sign_files
from kbuildpy.signing.choose_signer import choose_signer
from kbuildpy.signing.cms import parse
from kbuildpy.signing.find_key import shown_name
from kbuildpy.signing.loadable import warn_of_kernels
from kbuildpy.signing.manifest import Manifest
from kbuildpy.signing.read_file import read_small_file
from kbuildpy.signing.signer import Signer, warn_of_dates


def sign_modules(args: argparse.Namespace) -> int:
    """Sign modules; 0 if all of them are signed at the end."""
    jobs = job_count(args)
    paths = find_modules(args.files)
    if not paths:
        raise UsageError(f"no modules (.ko) in {', '.join(map(str, args.files))}")
    if args.attach:
        return _attach(args, paths)
    signer = _signer(args)
    with ExitStack() as stack:
        if args.detached:
            results = save_detached(paths, signer, jobs=jobs)
        else:
            manifest = Manifest(args.manifest) if args.manifest else None
            if manifest is not None:
                stack.callback(manifest.close)
            results = sign_files(
                paths,
                signer,
                replace=args.replace,
                beside=args.save,
                manifest=manifest,
                pack=_packer(args.kernel),
                jobs=jobs,
            )
        return _report(results, len(paths), args)


def _signer(args: argparse.Namespace) -> Signer:
    if not args.key:
        raise UsageError("no key to sign with", hint="name one: --key KEY --cert CERT")
    # (a missing kernel is reported before the passphrase is asked for)
    tree = _tree(args.kernel) if args.kernel is not None else None
    signer = choose_signer(
        args.key,
        args.cert or "",
        args.hash or "",
        kernel_hash=lambda: _kernel_hash(tree or _tree(None)),
        use_key_id=args.key_id,
        embed=args.embed_certificates,
        passphrase=ask_passphrase,
    )
    unusable = warn_of_kernels(signer.certificate, *((tree.release, tree.config) if tree else ()))
    for warning in filter(None, (warn_of_dates(signer.certificate), unusable)):
        print(f"kbuildpy: warning: {printable(shown_name(args.cert or args.key))}: {warning}", file=sys.stderr)
    return signer


def _tree(kernel: str | None) -> KernelTree:
    """The tree of the kernel that -k names, else of the default kernel."""
    return resolve_one([] if kernel is None else [kernel], Need.TREE, environ=os.environ).the_tree()


def _kernel_hash(tree: KernelTree) -> str:
    """The hash that the kernel's own modules are signed with."""
    hash = signing_policy_of(tree).hash
    if not hash:
        raise UsageError(
            f"the configuration of {tree.release} has no CONFIG_MODULE_SIG_HASH: it does not check signatures",
            hint="name a hash (--hash sha256), or another kernel (-k KERNEL)",
        )
    return hash


def _packer(kernel: str | None) -> Pack:
    """How a compressed module is compressed again: as the tree of `kernel` does it, else that of the release it was
    built for."""

    def rules_for(release: str, variables: Mapping[str, str]) -> InstallRules:
        from kbuildpy.kbuild.ask_install import ask_install  # (slow, and few modules are compressed)

        if kernel is None and not release:
            raise KbuildError(
                "the module does not name the kernel that it was built for", hint="name the kernel: -k KERNEL"
            )
        try:
            tree = _tree(kernel) if kernel is not None else resolve_release(release, Need.TREE).the_tree()
        except KbuildError as error:
            raise KbuildError(
                "a compressed module needs a kernel tree, whose configuration says how to compress it "
                "again: " + error.message,
                hint="name a kernel tree (-k KERNEL), or decompress, sign and compress the module yourself",
            ) from error
        return ask_install(tree, variables=variables, environ=os.environ)

    return packer(rules_for, os.environ)


def _attach(args: argparse.Namespace, paths: list[Path]) -> int:
    if len(paths) > 1 or args.key or args.detached or args.save:
        raise UsageError("--attach appends one signature to one module, and takes no key")
    signature = read_small_file(args.attach)
    try:
        parse(signature)
    except KbuildError as error:
        raise KbuildError(
            f"{args.attach}: {error.message}", hint="the file must be a CMS message in DER, as --detached writes it"
        ) from error
    attach(paths[0], signature, replace=args.replace, pack=_packer(args.kernel))
    return 0


def _report(results: Iterator[SignedFile], count: int, args: argparse.Namespace) -> int:
    done = left = failed = 0
    results, say = with_bar(results, count, quiet=args.quiet)
    for item in results:
        if item.error is not None:
            failed += 1
            say(f"kbuildpy: error: {printable_error(item.error.message, item.error.hint)}", error=True)
        elif item.done:
            done += 1
        else:
            left += 1
        if args.format == "json":
            error = item.error.message if item.error is not None else None
            say(json.dumps({"file": str(item.path), "signed": item.error is None, "done": item.done, "error": error}))
        elif item.done and not args.quiet:
            say(f"  SIGN    {printable(str(item.path))}")
        elif args.verbose and item.error is None:
            say(f"  SIGNED  {printable(str(item.path))}")
    if not args.quiet:
        was = f", {left} had this signature already" if left else ""
        wrong = f", {failed} could not be" if failed else ""
        print(f"kbuildpy: {done} signed{was}{wrong}", file=sys.stderr)
    return 1 if failed else 0

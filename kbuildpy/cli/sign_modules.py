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
from kbuildpy.cli.sign_elsewhere import export_digests, imported_signer, sign_digests
from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.install.pack import RulesFor, packer
from kbuildpy.install.separate_debug import stripper
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.kernel.module_files import find_modules, no_modules_below
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable, printable_error
from kbuildpy.signing.batch import Prepare, SignedFile, attach, save_detached, sign_files
from kbuildpy.signing.choose_signer import choose_signer
from kbuildpy.signing.cms import parse
from kbuildpy.signing.digest_list import fingerprint
from kbuildpy.signing.find_key import shown_name
from kbuildpy.signing.key_name import require_tokens
from kbuildpy.signing.loadable import warn_of_kernels
from kbuildpy.signing.manifest import Manifest
from kbuildpy.signing.read_file import read_small_file
from kbuildpy.signing.shared_queue import SharedQueue
from kbuildpy.signing.signer import Signer, warn_of_dates

_MANY = 1 << 20
_MOST_SESSIONS = 256
"""Each is a process."""


def sign_modules(args: argparse.Namespace) -> int:
    """Sign modules; 0 if all of them are signed at the end."""
    jobs = job_count(args)
    _refuse_wrong(args)
    if args.digests:
        return sign_digests(args, lambda: _signer(args))
    paths = find_modules(args.files)
    if not paths and args.queue and not args.files and not args.queue.exists():
        raise UsageError(f"{args.queue}: no such queue", hint="it is finished, or not made yet: name the modules")
    if not paths and not (args.queue and not args.files):
        raise no_modules_below(args.files) if args.files else UsageError("no modules (.ko) in the call: name some")
    if args.attach:
        return _attach(args, paths)
    prepare = _stripper(args) if args.strip else None

    def kernel_hash() -> str:
        return _kernel_hash(_tree(args.kernel))

    if args.export:
        return export_digests(args, paths, kernel_hash, prepare)
    signer = imported_signer(args, kernel_hash) if args.imported else _signer(args, len(paths) or _MANY)
    if warning := signer.warn_of_issuer("--embed-certificates adds it"):
        print(f"kbuildpy: warning: {printable(f'{shown_name(args.cert or args.key[0])}: {warning}')}", file=sys.stderr)
    queue = SharedQueue(args.queue, paths, _purpose(signer, args)) if args.queue else None
    with ExitStack() as stack:
        if queue is not None:
            stack.callback(queue.close)
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
                pack=packer(_rules_for(args.kernel), os.environ),
                prepare=prepare,
                queue=queue,
                jobs=jobs,
            )
        return _report(results, len(queue.paths) if queue else len(paths), args, queue)


def _refuse_wrong(args: argparse.Namespace) -> None:
    """Raises `UsageError` for options that do not go together."""
    modes = [name for name in ("attach", "export", "digests", "imported") if getattr(args, name)]
    named = {"imported": "import"}
    if len(modes) > 1:
        raise UsageError(f"--{named.get(modes[0], modes[0])} and --{named.get(modes[1], modes[1])} exclude each other")
    if args.detached and (args.queue or args.strip or modes):
        raise UsageError("--detached goes with none of --queue, --strip, --attach, --export, --digests and --import")
    pointless = [
        f"--{word.replace('_', '-')}"
        for word in ("manifest", "save", "embed_certificates", *(() if args.export else ("replace",)))
        if getattr(args, word) and (args.export or args.digests)
    ]
    if args.detached and args.manifest:
        pointless = ["--manifest"]
    if pointless:
        mode = "--detached" if args.detached else "--export" if args.export else "--digests"
        raise UsageError(f"{pointless[0]} has no meaning with {mode}: no module is signed", hint="leave it out")
    if not 1 <= args.sessions <= _MOST_SESSIONS:
        raise UsageError(f"--sessions {args.sessions}: between 1 and {_MOST_SESSIONS}")
    if args.sessions > 1:
        require_tokens(args.key)
    if args.debug_files and not args.strip:
        raise UsageError("--debug-files is for --strip", hint="add --strip, or leave it out")
    if args.queue and modes and modes != ["imported"]:
        raise UsageError(f"--queue and --{modes[0]} exclude each other")
    if args.digests and (args.files or args.strip):
        raise UsageError("--digests signs what is in the list, no modules", hint="name the list and the key only")
    if (args.export or args.imported) and args.key:
        raise UsageError(
            f"--{'export' if args.export else 'import'} needs no key, only the certificate",
            hint="sign the list where the key is: kbuildpy sign --digests LIST --key KEY",
        )


def _purpose(signer: Signer, args: argparse.Namespace) -> str:
    """What processes with one queue have in common."""
    parts = [fingerprint(signer.certificate), signer.hash.name, f"{len(signer.embedded)} embedded"]
    return " ".join([*parts, *(word for word in ("key_id", "replace", "strip", "save") if getattr(args, word))])


def _signer(args: argparse.Namespace, count: int = _MANY) -> Signer:
    """The signer of `count` modules."""
    if not args.key:
        raise UsageError("no key to sign with", hint="name one: --key KEY --cert CERT")
    # (a missing kernel is reported before the passphrase is asked for)
    tree = _tree(args.kernel) if args.kernel is not None else None
    signer = choose_signer(
        args.key[0],
        args.cert or "",
        args.hash or "",
        kernel_hash=lambda: _kernel_hash(tree or _tree(None)),
        use_key_id=args.key_id,
        embed=args.embed_certificates,
        passphrase=ask_passphrase,
        more_keys=args.key[1:],
        sessions=min(args.sessions, max(count, 1)) if args.sessions > 1 else 1,
        tell=lambda words: print(f"kbuildpy: warning: {printable(words)}", file=sys.stderr),
    )
    unusable = warn_of_kernels(signer.certificate, *((tree.release, tree.config) if tree else ()))
    for warning in filter(None, (warn_of_dates(signer.certificate), unusable)):
        print(f"kbuildpy: warning: {printable(shown_name(args.cert or args.key[0]))}: {warning}", file=sys.stderr)
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


def _rules_for(kernel: str | None) -> RulesFor:
    """How a module is stripped, or compressed again: as the tree of `kernel` does it, else that of the release it was
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
            does = "strip it" if "INSTALL_MOD_STRIP" in variables else "compress it again"
            raise KbuildError(
                f"a kernel tree is needed, which says how to {does}: {error.message}",
                hint="name a kernel tree (-k KERNEL), or do that yourself, and sign in between",
            ) from error
        return ask_install(tree, variables=variables, environ=os.environ)

    return rules_for


def _stripper(args: argparse.Namespace) -> Prepare:
    return stripper(_rules_for(args.kernel), os.environ, folder=args.debug_files, replace=args.replace)


def _attach(args: argparse.Namespace, paths: list[Path]) -> int:
    if len(paths) > 1 or args.key or args.save or args.queue or args.strip:
        raise UsageError("--attach appends one signature to one module, and takes no key")
    signature = read_small_file(args.attach)
    try:
        parse(signature)
    except KbuildError as error:
        raise KbuildError(
            f"{args.attach}: {error.message}", hint="the file must be a CMS message in DER, as --detached writes it"
        ) from error
    attach(paths[0], signature, replace=args.replace, pack=packer(_rules_for(args.kernel), os.environ))
    return 0


def _report(
    results: Iterator[SignedFile], count: int, args: argparse.Namespace, queue: SharedQueue | None = None
) -> int:
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
        others = count - done - left - failed
        was += f", {others} by other processes" if queue is not None and others > 0 else ""
        wrong = f", {failed} could not be" if failed else ""
        print(f"kbuildpy: {done} signed{was}{wrong}", file=sys.stderr)
    return 1 if failed else 0

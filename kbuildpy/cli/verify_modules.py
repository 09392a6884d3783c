# SPDX-License-Identifier: GPL-2.0-only
"""The work of `kbuildpy verify`, apart from its arguments: it imports cryptography."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from kbuildpy.cli.progress import Say, print_line, with_bar
from kbuildpy.cli.shared_options import job_count
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.module_files import find_modules, no_modules_below
from kbuildpy.kernel.resolve import resolve
from kbuildpy.printable import printable, printable_error
from kbuildpy.signing.anchors import load_certificates, load_directory, load_revocations
from kbuildpy.signing.describe import as_json, as_line, as_modinfo
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.manifest import compare_manifest, read_manifest
from kbuildpy.signing.verify import verify_files


def verify_modules(args: argparse.Namespace) -> int:
    """Print one result for each file and kernel; 0 if all are trusted."""
    jobs = job_count(args)
    if not args.files and not args.manifest:
        raise UsageError("nothing to verify", hint="name modules, directories of them, or a --manifest")
    files = find_modules(args.files)
    changed: dict[Path, KbuildError] = {}
    nobody_signed = False
    if args.manifest:
        files, changed = compare_manifest(args.manifest, args.files, files)
        nobody_signed = not any(entry.signer for entry in read_manifest(args.manifest))
    if not files and not changed:
        raise no_modules_below(args.files or [args.manifest])
    if nobody_signed and not _says_whom_to_trust(args):
        return _report_unchanged(files, changed, args)
    keyrings = _keyrings(args)
    refused = len(changed)
    results, say = with_bar(verify_files(files, keyrings, jobs=jobs), len(files), quiet=args.quiet)
    for path, error in changed.items():
        _report_error(path, error, args.format, say)
    for path, result in results:
        if isinstance(result, KbuildError):
            refused += len(keyrings)
            _report_error(path, result, args.format, say)
            continue
        for state in result:
            refused += not state.trusted
            if args.quiet and state.trusted:
                continue
            if args.format == "json":
                say(json.dumps(as_json(str(path), state)))
                continue
            say(as_line(str(path), state))
            if args.verbose and state.hash:
                say(as_modinfo(state))
    total = len(files) * len(keyrings) + len(changed)
    if args.format == "text" and total > 1:
        print(f"{total - refused} of {total} trusted", file=sys.stderr)
    return 1 if refused else 0


def _report_unchanged(files: list[Path], changed: dict[Path, KbuildError], args: argparse.Namespace) -> int:
    """The result for modules that are only compared with a manifest: it says nothing about trust."""
    for path, error in changed.items():
        _report_error(path, error, args.format, print_line)
    for path in files if not args.quiet else ():
        as_text = f"{printable(str(path))}: unchanged"
        print_line(json.dumps({"file": str(path), **_UNKNOWN}) if args.format == "json" else as_text)
    if args.format == "text":
        print(f"{len(files)} of {len(files) + len(changed)} unchanged", file=sys.stderr)
    return 1 if changed else 0


_UNKNOWN = dict.fromkeys(
    ("kernel", "signed", "valid", "trusted", "signer", "serial", "hash", "algorithm", "reason", "errno")
)


def _report_error(path: Path, error: KbuildError, format: str, say: Say) -> None:
    if format == "json":
        said = {"trusted": False, "reason": error.message, "hint": error.hint}
        say(json.dumps({"file": str(path), **_UNKNOWN, **said}))
    else:
        say(f"kbuildpy: {printable_error(error.message, error.hint)}", error=True)


def _says_whom_to_trust(args: argparse.Namespace) -> bool:
    return bool(args.cert or args.cert_dir or args.mok or args.kernels)


def _keyrings(args: argparse.Namespace) -> list[Keyring]:
    if not _says_whom_to_trust(args):
        raise UsageError(
            "no trusted certificates are named", hint="name certificates (--cert, --cert-dir, --mok) or a kernel (-k)"
        )
    certificates = [item for file in args.cert for item in load_certificates(file)]
    certificates += [item for directory in args.cert_dir for item in load_directory(directory)]
    for file in args.mok:
        certificates += load_directory(file) if file.is_dir() else load_certificates(file)
    revocations = [load_revocations(file) for file in args.revoked]
    chosen = resolve(args.kernels, Need.IMAGE) if args.kernels else []
    kernels = [load_kernel(kernel.the_image()) for kernel in chosen] or [Keyring()]
    return [
        kernel.plus(
            certificates,
            revoked=[item for file in revocations for item in file.certificates],
            blacklist=[item for file in revocations for item in file.hashes],
        )
        for kernel in kernels
    ]

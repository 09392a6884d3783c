# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy provenance`: what modules were built from, as an in-toto statement, signed with the key of the release."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.cli.shared_options import add_build_output, add_format, add_quiet, named_path, named_word, require_folder
from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import replacing, umask
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.printable import printable, printable_error
from kbuildpy.proof.find_build import find_build, unsigned_module
from kbuildpy.proof.gather import gather_all
from kbuildpy.proof.read_proofs import FoundStatement, read_proofs
from kbuildpy.proof.statement import is_unsigned_subject, statement_of, statement_text, subjects_of
from kbuildpy.signing.choose_signer import choose_signer

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer

EXAMPLES = (
    "kbuildpy provenance build/6.1.0-56-amd64/hello.ko -o hello.intoto.json",
    "kbuildpy provenance build --key signing_key.pem --cert signing_key.crt --builder-id https://ci.example.org/kernel "
    "-o release.intoto.jsonl",
    "kbuildpy provenance /lib/modules/6.1.0-56-amd64/updates/hello.ko.xz --build build -o hello.intoto.json",
    "kbuildpy provenance --verify release.intoto.jsonl --cert signing_key.crt build/*/hello.ko",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy provenance`."""
    parser.epilog = (
        "A file gets a statement for each build that the modules come from, one in a line. Exit status: 0 done, or all "
        "is as the statements say; 1 a module was not built here or has changed since, or a statement is not signed by "
        "CERT, or does not name the module; 2 the call was wrong."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE | DIR", type=named_path, help="modules, or directories of modules"
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=named_path, help="the file to write (default: print it)")
    parser.add_argument(
        "--key", metavar="KEY", type=named_word, help="sign it: the private key, a file (PEM or DER) or a pkcs11: URI"
    )
    parser.add_argument(
        "--cert",
        action="append",
        default=[],
        metavar="CERT",
        type=named_word,
        help="the certificate of the key (default: the one in the key's file); with --verify: whom to trust",
    )
    parser.add_argument(
        "--builder-id", metavar="URI", type=named_word, help="the URI of who builds, for SLSA's builder.id"
    )
    add_build_output(parser)
    parser.add_argument(
        "--verify",
        metavar="PROOF",
        type=named_path,
        help="check what was written: the signature, and that it names these modules",
    )
    add_quiet(parser, "print errors only")
    add_format(parser, "with --verify: a line each (default), or one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Write the statements, or check them."""
    if args.verify:
        return _verify(args)
    paths = find_modules(args.files)
    if not paths:
        named = ", ".join(map(str, args.files))
        raise UsageError(f"no modules (.ko) in {named}" if named else "no modules", hint="name modules, or directories")
    if len(args.cert) > 1 or (args.cert and not args.key):
        raise UsageError("--cert names the certificate of one --key")
    require_folder(args.output)
    # (a key that cannot be opened is told before minutes of work)
    signer = _signer(args) if args.key else None
    records = gather_all([find_build(path, args.build) for path in paths], present=os.environ)
    lines = []
    for record in records:
        text = statement_text(statement_of(record, builder=args.builder_id or ""))
        if signer is not None:
            from kbuildpy.proof.seal import seal  # (slow: cryptography)

            text = seal(text.encode(), signer).text()
        lines.append(f"{text}\n")
    _write(args.output, "".join(lines))
    if args.output and not args.quiet:
        signed = f", signed by {printable(signer.name)}" if signer else ", not signed"
        print(
            f"kbuildpy: {_count(paths, 'module')} of {_count(lines, 'build')}{signed}: {args.output}", file=sys.stderr
        )
    return 0


def _count(items: Sequence[object], word: str) -> str:
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'}"


def _signer(args: argparse.Namespace) -> Signer:
    certificate = args.cert[0] if args.cert else ""
    return choose_signer(args.key, certificate, "sha256", passphrase=ask_passphrase)


def _write(path: Path | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
    else:
        with replacing(path) as slot:
            slot.write(text.encode(), mode=0o666 & ~umask())


def _verify(args: argparse.Namespace) -> int:
    """Print for each statement, or for each module, whether it is as it should be; 0 if all are."""
    for given, name in ((args.key, "--key"), (args.output, "-o"), (args.build, "--build"), (args.builder_id, "")):
        if given:
            raise UsageError(f"--verify checks what was written, and takes no {name or '--builder-id'}")
    if not args.cert:
        raise UsageError("no certificate to verify with", hint="name whom to trust: --cert CERT")
    from kbuildpy.proof.seal import require_signed, trusted_certificates  # (slow: cryptography)
    from kbuildpy.signing.signer import subject_name

    certificates = trusted_certificates(args.cert)
    found = read_proofs(args.verify)
    signer = ""
    for item in found:
        if item.envelope is None:
            raise KbuildError(f"{item.where}: not signed", hint="kbuildpy provenance --key signs it")
        signer = subject_name(require_signed(item.envelope, certificates, item.where))
    wrong = 0
    paths = find_modules(args.files)
    for path in paths:
        wrong += not _is_subject(path, found, signer, args)
    if not paths:
        for item in found:
            names = [subject.name for subject in subjects_of(item.statement, item.where)]
            _say(args, {"file": None, "proof": item.where, "valid": True, "signer": signer, "subjects": names})
    return 1 if wrong else 0


def _is_subject(path: Path, found: Sequence[FoundStatement], signer: str, args: argparse.Namespace) -> bool:
    """Print whether a statement is about the module `path`; whether one is."""
    reason, where, unsigned_only = f"no statement in {args.verify} is about this file", None, False
    whole = unsigned = ""
    try:
        whole, contents = unsigned_module(path)
        unsigned = hashlib.sha256(contents).hexdigest()
    except KbuildError as error:
        reason = error.message
    for item in found:
        if whole in {subject.sha256 for subject in subjects_of(item.statement, item.where)}:
            where, unsigned_only = item.where, False
            break
        if is_unsigned_subject(item.statement, unsigned):
            where, unsigned_only = item.where, True
    value: dict[str, object] = {
        "file": str(path),
        "proof": where,
        "valid": where is not None,
        "signer": signer if where else None,
        "unsigned": unsigned_only,
        "reason": None if where else reason,
    }
    _say(args, value)
    return where is not None


def _say(args: argparse.Namespace, value: dict[str, object]) -> None:
    if args.format == "json":
        print(json.dumps(value))
        return
    name = printable(str(value["file"] or value["proof"]))
    if not value["valid"]:
        reason = printable_error(str(value["reason"]), "")
        print(f"kbuildpy: {name}: {reason}", file=sys.stderr)
    elif not args.quiet:
        more = " (by its contents without signature)" if value.get("unsigned") else ""
        subjects = value.get("subjects")
        about = f", about {printable(', '.join(map(str, subjects)))}" if isinstance(subjects, list) else more
        print(f"{name}: signed by {printable(str(value['signer']))}{about}")

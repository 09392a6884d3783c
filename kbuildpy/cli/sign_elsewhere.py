# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign` with a key on another machine: digests out, their signatures, signatures in."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from kbuildpy.cli.progress import with_bar
from kbuildpy.cli.shared_options import job_count
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import replacing
from kbuildpy.parallel import in_threads
from kbuildpy.printable import printable, printable_error
from kbuildpy.signing.batch import JOBS, ExportedFile, Prepare, digest_of_file
from kbuildpy.signing.digest_list import (
    AnswerFile,
    DigestAnswer,
    DigestRequest,
    fingerprint,
    read_digest_list,
    request_line,
)
from kbuildpy.signing.find_key import find_certificate
from kbuildpy.signing.hashes import HASHES, Hash, find_hash
from kbuildpy.signing.imported_signatures import ImportedSignatures
from kbuildpy.signing.open_signer import embedded_with
from kbuildpy.signing.signer import Signer, warn_of_dates


def export_digests(
    args: argparse.Namespace, paths: Sequence[Path], kernel_hash: Callable[[], str], prepare: Prepare | None
) -> int:
    """Write the digests of modules; 0 if all of them are in the list, else there is none."""
    _refuse_existing(args.export)
    certificate = find_certificate(_certificate_name(args))
    signer = Signer(
        ImportedSignatures.none_of(certificate), certificate, find_hash(args.hash or kernel_hash()), args.key_id
    )
    if warning := warn_of_dates(certificate):
        print(f"kbuildpy: warning: {printable(args.cert)}: {warning}", file=sys.stderr)

    def export(path: Path) -> ExportedFile:
        return digest_of_file(path, signer, replace=args.replace, prepare=prepare)

    failed = left = 0
    lines = []
    results, say = with_bar(in_threads(export, paths, jobs=job_count(args) or JOBS), len(paths), quiet=args.quiet)
    for item in results:
        if item.error is not None:
            failed += 1
            say(f"kbuildpy: error: {printable_error(item.error.message, item.error.hint)}", error=True)
        elif item.request is None:
            left += 1
        else:
            lines.append(request_line(item.request))
    if failed:
        print(f"kbuildpy: {args.export} was not written: {failed} modules have no digest", file=sys.stderr)
        return 1
    if not lines:
        print(f"kbuildpy: {args.export} was not written: all modules have this signature already", file=sys.stderr)
        return 0
    try:
        with replacing(args.export) as slot:
            _refuse_existing(args.export)
            slot.write(b"".join(sorted(lines)))
    except OSError as error:
        raise KbuildError(f"{args.export}: {error.strerror}") from error
    if not args.quiet:
        was = f", {left} modules have this signature already" if left else ""
        print(f"kbuildpy: {len(lines)} digests in {args.export}{was}", file=sys.stderr)
    return 0


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise KbuildError(
            f"{path}: it exists, and may have signatures", hint="import it, or remove it, or name another file"
        )


def sign_digests(args: argparse.Namespace, open_signer: Callable[[], Signer]) -> int:
    """Add signatures to a list of digests; 0 if it has all of them at the end."""
    with AnswerFile(args.digests) as file:
        hash = _only_hash(args, file.list.requests, lambda: "")
        # (so that the kernel's configuration is not asked for it)
        args.hash = hash.name
        signer = open_signer()
        wanted = {request.certificate for request in file.list.requests}
        if wanted != {fingerprint(signer.certificate)}:
            raise KbuildError(
                f"{args.digests}: it is for another certificate: {file.list.requests[0].signer}",
                hint="name the certificate that was named when it was made: --cert CERT",
            )

        def sign(request: DigestRequest) -> DigestAnswer:
            signature = signer.key.sign_digest(bytes.fromhex(request.digest), hash)
            origin = signer.key.origin()
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            signed = base64.b64encode(signature).decode()
            answer = DigestAnswer(request.digest, signed, origin.key, origin.host, now)
            # (here: the results of others are lost when the key is)
            file.add(answer)
            return answer

        left = file.list.unanswered(signer.certificate)
        had = len({request.digest for request in file.list.requests}) - len(left)
        done = 0
        results, say = with_bar(
            in_threads(sign, left, jobs=_at_once(args), give_up=signer.key.give_up),
            len(left),
            quiet=args.quiet,
            unit=" digests",
        )
        for answer in results:
            done += 1
            if args.format == "json":
                say(json.dumps({"digest": answer.digest, "signed": True}))
    if not args.quiet:
        print(f"kbuildpy: {done} digests signed{f', {had} were signed already' if had else ''}", file=sys.stderr)
    return 0


def imported_signer(args: argparse.Namespace, kernel_hash: Callable[[], str]) -> Signer:
    """The signer whose signatures are in the list; `kernel_hash` is the hash that modules are signed with."""
    found = read_digest_list(args.imported)
    name = _certificate_name(args)
    certificate = find_certificate(name)
    if {request.certificate for request in found.requests} != {fingerprint(certificate)}:
        raise KbuildError(
            f"{args.imported}: it is for another certificate: {found.requests[0].signer}",
            hint="name the certificate that was named when it was made: --cert CERT",
        )
    hash = _only_hash(args, found.requests, kernel_hash)
    embedded = embedded_with(certificate, name) if args.embed_certificates else ()
    return Signer(ImportedSignatures(found, certificate), certificate, hash, args.key_id, embedded)


def _only_hash(args: argparse.Namespace, requests: Sequence[DigestRequest], kernel_hash: Callable[[], str]) -> Hash:
    """The hash of the digests. Whoever changed a list on its way may have put a weak one there: it must be the one that
    is named, else the kernel's, and at least be none that can be forged."""
    [name, *more] = sorted({request.hash for request in requests})
    if more:
        raise KbuildError("the list has digests of several kinds", hint="export the digests of all modules at once")
    if args.hash and find_hash(args.hash).name != name:
        raise UsageError(f"--hash {args.hash}: the digests in the list are {name}", hint="leave --hash out")
    wanted = args.hash or kernel_hash() or ("another hash" if name in _WEAK else name)
    if find_hash(name) != HASHES.get(wanted.lower()):
        raise UsageError(
            f"the digests in the list are {name}, and modules are signed with {wanted}",
            hint=f"if {name} is right, name it: --hash {name}",
        )
    return find_hash(name)


_WEAK = ("sha1", "sha224")


def _certificate_name(args: argparse.Namespace) -> str:
    if not args.cert:
        raise UsageError("no certificate", hint="name the certificate of the key that is to sign: --cert CERT")
    return str(args.cert)


def _at_once(args: argparse.Namespace) -> int:
    return job_count(args) or max(JOBS, 2 * args.sessions * len(args.key))

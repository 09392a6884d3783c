# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy reproduce`: builds a module again from what was recorded, by kbuildpy and by make, and compares."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, add_jobs, add_quiet, job_count, named_path, named_word, split_words
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.install.module import stripped
from kbuildpy.kbuild.ask_install import ask_install
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable
from kbuildpy.proof.find_build import unsigned_module
from kbuildpy.proof.read_proofs import FoundStatement, choose_proof, read_proofs
from kbuildpy.proof.record import BuildRecord
from kbuildpy.proof.reproduce import BUILDERS, Reproduction, reproduce
from kbuildpy.proof.statement import is_unsigned_subject, record_of, subjects_of
from kbuildpy.similar import similar_file

EXAMPLES = (
    "kbuildpy reproduce build/6.1.0-56-amd64/hello.ko --manifest hello.intoto.json",
    "kbuildpy reproduce hello.ko.xz --manifest release.intoto.jsonl --cert signing_key.crt --source CHECKOUT",
    "kbuildpy reproduce hello.ko --manifest hello.intoto.json --make-only --format json",
)
_SECTIONS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy reproduce`."""
    parser.epilog = (
        "The signature of the module, and its compression, are set aside. Nothing is fetched, and the sources stay as "
        "they are. Exit status: 0 every builder made the same bytes; 1 one did not; 2 the call was wrong."
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE.ko | VAR=VALUE",
        help="the module, and variables for make in place of the recorded ones",
    )
    parser.add_argument(
        "--manifest",
        required=True,
        metavar="PROOF",
        type=named_path,
        help="what `kbuildpy provenance` wrote: a statement, an envelope, or lines of them",
    )
    parser.add_argument(
        "--cert",
        action="append",
        default=[],
        metavar="CERT",
        type=named_word,
        help="take the manifest only if the key of this certificate signed it",
    )
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="do what a manifest says that no --cert verifies: its variables are for make, which runs what they say",
    )
    parser.add_argument(
        "--source", metavar="DIR", type=named_path, help="the directory of the sources (default: the recorded one)"
    )
    parser.add_argument(
        "-k",
        "--kernel",
        metavar="KERNEL",
        help="the kernel tree: a path or a release (default: the tree of the recorded release)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--kbuildpy-only", action="store_true", help="build by kbuildpy only")
    which.add_argument("--make-only", action="store_true", help="build by make only")
    add_jobs(parser)
    add_quiet(parser, "print only what differs")
    add_format(parser, "in words (default), or a JSON object")


def run(args: argparse.Namespace) -> int:
    """Build again and compare; 0 if the bytes are the same."""
    paths, variables = split_words(args.words)
    if len(paths) != 1:
        raise UsageError(f"one module at a time, not {len(paths)}", hint="kbuildpy reproduce FILE.ko --manifest PROOF")
    path = Path(paths[0])
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint=similar_file(path))
    jobs = job_count(args) or os.cpu_count() or 1
    _, unsigned = unsigned_module(path)
    digest = hashlib.sha256(unsigned).hexdigest()
    proof = choose_proof(
        read_proofs(args.manifest),
        args.manifest,
        [lambda item: is_unsigned_subject(item.statement, digest), lambda item: _is_named(item, path)],
    )
    trusted = _is_trusted(proof, args)
    record = record_of(proof.statement, proof.where)
    _require_trust(record, proof, variables, trusted=trusted)
    source = (args.source or Path(record.directory)).resolve()
    if not source.is_dir():
        raise UsageError(
            f"{source}: no such directory",
            hint=similar_file(source) or "name the directory of the sources: --source DIR",
        )
    tree = _tree(args.kernel, record, trusted=trusted)

    def strip(module: bytes) -> bytes:
        rules = ask_install(tree, variables={"INSTALL_MOD_STRIP": "1"}, environ=os.environ)
        return stripped(module, rules, rules.environment_for(os.environ, ""), path)

    result = reproduce(
        str(path),
        unsigned,
        record,
        tree,
        sources=str(source),
        variables=variables,
        environ=os.environ,
        builders=["kbuildpy"] if args.kbuildpy_only else ["make"] if args.make_only else BUILDERS,
        jobs=jobs,
        strip=strip,
    )
    if args.format == "json":
        print(json.dumps(result.to_json(str(args.manifest))))
    else:
        _print(result, args)
    return 0 if result.equal else 1


def _is_named(item: FoundStatement, path: Path) -> bool:
    return path.name in {subject.name for subject in subjects_of(item.statement, item.where)}


def _is_trusted(proof: FoundStatement, args: argparse.Namespace) -> bool:
    """Whether the manifest is verified, or the user says that it need not be. Raises `KbuildError` for one that --cert
    does not verify."""
    if not args.cert:
        return bool(args.unverified)
    if proof.envelope is None:
        raise KbuildError(f"{proof.where}: not signed", hint="leave out --cert, or sign it: kbuildpy provenance --key")
    from kbuildpy.proof.seal import require_signed, trusted_certificates  # (slow: cryptography)

    require_signed(proof.envelope, trusted_certificates(args.cert), proof.where)
    return True


def _require_trust(record: BuildRecord, proof: FoundStatement, variables: Mapping[str, str], *, trusted: bool) -> None:
    """Refuse variables of a manifest that nobody vouches for: make runs what is in them."""
    said = {**record.variables, **record.environment}
    others = {name: value for name, value in said.items() if variables.get(name) != value}
    if trusted or not (others or record.declared):
        return
    name = next(iter(others), "")
    what = f"sets {name}={others[name]}" if others else "has the text of Kbuild files"
    raise UsageError(
        f"{proof.where}: the manifest {what}, which make would run, and nothing verifies the manifest",
        hint="--cert CERT verifies it; give the same variables in the call; or --unverified, if you know its origin",
    )


def _tree(word: str | None, record: BuildRecord, *, trusted: bool) -> KernelTree:
    """The kernel tree that is named, else that of the recorded release; the recorded place counts where the manifest is
    trusted: a tree's makefiles are programs."""
    if word is not None:
        return resolve_one([word], Need.TREE, environ=os.environ).the_tree()
    if trusted and Path(record.objects).is_dir():
        return open_tree(record.objects)
    try:
        return resolve_release(record.release, Need.TREE).the_tree()
    except KbuildError as error:
        raise KbuildError(
            f"the recorded kernel tree {record.release} is not here: {error.message}",
            hint=f"{error.hint}; or name a tree: -k PATH ({record.objects} was recorded)",
            status=error.status,
        ) from error


def _print(result: Reproduction, args: argparse.Namespace) -> None:
    lines = []
    for item in result.builders:
        if item.error is not None:
            first, *more = item.error.splitlines()
            lines.append(f"{result.file}: not built by {item.builder}: {first}")
            lines += [f"  {line}" for line in more]
        elif item.equal:
            if not args.quiet:
                words = ", stripped" if item.stripped else ""
                lines.append(f"{result.file}: the same bytes by {item.builder}{words}, for {result.kernel}")
        else:
            lines.append(f"{result.file}: other bytes by {item.builder}, for {result.kernel}")
            lines += [_section(part.section, part.what, part.symbols) for part in item.differs[:_SECTIONS]]
            if len(item.differs) > _SECTIONS:
                lines.append(f"  and {len(item.differs) - _SECTIONS} more sections")
    if result.inputs:
        lines.append("inputs that are not as recorded:" if result.equal else "because:")
        lines += [f"  {item.text()}" for item in result.inputs]
    elif not result.equal and not any(item.error for item in result.builders):
        lines.append("every recorded input is the same")
    if not result.is_recorded:
        lines.append("the module is not the recorded one, also without its signature")
    if result.refused and not result.equal:
        lines.append("the sources could not be shown at the recorded path, which debug information names:")
        lines.append(f"  {result.refused}")
    for line in lines:
        print(printable(line))
    sys.stdout.flush()


def _section(name: str, what: str, symbols: tuple[str, ...]) -> str:
    names = f": {', '.join(symbols[:6])}{', ...' if len(symbols) > 6 else ''}" if symbols else ""
    return f"  {name or 'the file'} {what}{names}"

# SPDX-License-Identifier: GPL-2.0-only
"""The work of `kbuildpy keygen`, apart from its arguments: it imports cryptography."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from kbuildpy.cli.terminal import ask_new_passphrase, ask_passphrase
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.new_files import NewFile, require_absent, write_new
from kbuildpy.signing.choose_signer import choose_signer
from kbuildpy.signing.delegation import Issuer, blacklist_words
from kbuildpy.signing.find_key import environment_passphrase
from kbuildpy.signing.keygen import SigningKey, make_signing_key
from kbuildpy.signing.loadable import needed_for
from kbuildpy.signing.signer_certificate import validity


def make_key(args: argparse.Namespace) -> int:
    """Write the files. Prints their names, and how to enrol the certificate for Secure Boot."""
    key: Path = args.key
    pem, der = _beside(key)
    revocation = key.with_suffix(".blacklist")
    if not args.force:
        # (before the user types a passphrase, and before the key is made, which takes a second)
        require_absent([key, pem, der, *([revocation] if args.delegate_of else [])])
    delegating = _delegating(args)
    passphrase = _passphrase(key) if args.encrypt else None
    made = make_signing_key(
        args.algorithm,
        common_name=args.cn,
        days=args.days,
        hash=args.hash,
        mok=args.mok,
        ca=args.ca,
        issuer=delegating.issuer if delegating else None,
    )
    certificate = made.certificate.public_bytes(Encoding.PEM)
    if delegating:
        certificate += b"".join(each.public_bytes(Encoding.PEM) for each in delegating.above)
    private = made.pem(passphrase) + (certificate if args.combined else b"")
    write_new(
        [
            NewFile(key, private, 0o600),
            NewFile(pem, certificate),
            NewFile(der, made.certificate.public_bytes(Encoding.DER)),
            *([NewFile(revocation, _blacklist(made.certificate))] if delegating else []),
        ],
        force=args.force,
    )
    if needed := needed_for(args.algorithm):
        note = f"kernels verify with it only if they have {needed}"
        print(f"kbuildpy: note: {args.algorithm}: {note}", file=sys.stderr)
    if delegating:
        for warning in delegating.warnings(made.certificate):
            print(f"kbuildpy: warning: {warning}", file=sys.stderr)
    if args.quiet:
        return 0
    further = _delegation(key, pem, revocation) if delegating else _enrolment(made.certificate, der)
    print("\n".join((*_files(made, key, pem, der, args), "", *further)))
    return 0


@dataclass(frozen=True)
class _Delegating:
    """Who delegates."""

    issuer: Issuer
    above: tuple[Certificate, ...]
    """The certificates that have to come with a delegate's: the issuer's and those behind it in its file, unless they
    sign themselves: such a one is enrolled."""

    def warnings(self, delegate: Certificate) -> list[str]:
        """What a delegate's certificate does not do."""
        own = self.issuer.certificate
        found = ["kernels look at no dates: a delegated key signs until its certificate is blacklisted"]
        _, end = validity(own)
        if validity(delegate)[1] > end:
            found.append(f"it is valid longer than its issuer's certificate, until {end:%Y-%m-%d}")
        return found


def _delegating(args: argparse.Namespace) -> _Delegating | None:
    if not args.delegate_of:
        if args.delegate_cert:
            raise UsageError("--delegate-cert is for --delegate-of KEY", hint="name the key that signs the certificate")
        return None
    signer = choose_signer(args.delegate_of, args.delegate_cert or "", args.hash, embed=True, passphrase=ask_passphrase)
    above = tuple(each for each in signer.embedded if each.issuer != each.subject)
    return _Delegating(Issuer(signer.key, signer.certificate), above)


def _blacklist(certificate: Certificate) -> bytes:
    """What CONFIG_SYSTEM_BLACKLIST_HASH_LIST takes (certs/check-blacklist-hashes.awk: no comma at its end), and
    `kbuildpy verify --revoked`."""
    return (",\n".join(f'"{word}"' for word in blacklist_words(certificate)) + "\n").encode()


def _delegation(key: Path, pem: Path, revocation: Path) -> list[str]:
    names = [shlex.quote(str(path)) for path in (key, pem)]
    return [
        "To sign with it, where the certificate of its issuer is enrolled:",
        f"  kbuildpy sign FILE --key {names[0]} --cert {names[1]} --embed-certificates",
        f"To revoke it: {revocation} has the words for a kernel's blacklist",
    ]


def _beside(key: Path) -> tuple[Path, Path]:
    """The files of the certificate for the key in file `key`: PEM and DER."""
    if str(key).lower().startswith("pkcs11:"):
        raise UsageError("keygen makes keys in files only, not on tokens", hint="use the token's own tool")
    if not key.name or key.suffix in (".crt", ".x509"):
        raise UsageError(f"{key}: not a name for a private key", hint="use a name such as signing_key.pem")
    return key.with_suffix(".crt"), key.with_suffix(".x509")


def _passphrase(key: Path) -> str:
    given = environment_passphrase(ask_new_passphrase)(str(key))
    if not given:
        raise KbuildError(
            "--encrypt needs a passphrase",
            hint="set KBUILD_SIGN_PIN, or run the command on a terminal, where it asks for one",
        )
    if len(os.fsencode(given)) > 1023:
        # (the limit of openssl, and so of sign-file)
        raise KbuildError("the passphrase is longer than 1023 bytes")
    return given


def _files(made: SigningKey, key: Path, pem: Path, der: Path, args: argparse.Namespace) -> list[str]:
    width = max(len(str(path)) for path in (key, pem, der))
    kind = f"{made.algorithm.upper()} private key{', encrypted' if args.encrypt else ''}"
    _, end = validity(made.certificate)
    return [
        f"{key!s:{width}}  {kind}{' and certificate' if args.combined else ''}; keep it secret",
        f"{pem!s:{width}}  certificate (PEM), valid until {end:%Y-%m-%d}",
        f"{der!s:{width}}  certificate (DER)",
    ]


def _enrolment(certificate: Certificate, der: Path) -> list[str]:
    path = shlex.quote(str(der.absolute()))
    return [
        f"SHA-256 fingerprint: {certificate.fingerprint(hashes.SHA256()).hex(':')}",
        # (shown by MokManager and `mokutil --list-enrolled`)
        f"SHA-1 fingerprint:   {certificate.fingerprint(hashes.SHA1()).hex(':')}",
        "",
        "To make Secure Boot trust the certificate:",
        f"  1. mokutil --import {path}    # as root; asks for a password that is used once",
        "  2. reboot; in MokManager choose Enroll MOK, compare the fingerprint, enter that password",
        f"  3. mokutil --test-key {path}    # prints that it is already enrolled",
    ]

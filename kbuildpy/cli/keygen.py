# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy keygen`: a key for signing modules, and its certificate."""

from __future__ import annotations

import argparse

from kbuildpy.cli.shared_options import add_quiet, named_path, named_word

EXAMPLES = (
    "kbuildpy keygen",
    "kbuildpy keygen release.pem --mok --encrypt -a rsa-4096 --cn 'Release key'",
    "kbuildpy keygen day.pem --days 7 --delegate-of release.pem --delegate-cert release.crt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy keygen`."""
    parser.add_argument(
        "key",
        nargs="?",
        default="signing_key.pem",
        type=named_path,
        metavar="KEY",
        help="the private key's file (default: signing_key.pem); the certificate goes beside it, as .crt (PEM) and "
        ".x509 (DER)",
    )
    parser.add_argument(
        "-a",
        "--algorithm",
        default="rsa-4096",
        help="rsa-2048, -3072 or -4096 (default), p-256, -384 or -521, ml-dsa-44, -65 or -87 "
        "(kernels from 7.0 on with CONFIG_CRYPTO_MLDSA)",
    )
    parser.add_argument(
        "--cn", default="kbuildpy module signing key", metavar="NAME", help="the owner's name in the certificate"
    )
    parser.add_argument(
        "--days",
        type=int,
        default=36500,
        metavar="N",
        help="valid for N days (default: 36500; kernels do not look)",
    )
    parser.add_argument("--hash", default="", help="the hash of the certificate's own signature (default: sha256)")
    parser.add_argument(
        "--mok", action="store_true", help="for Secure Boot: a certificate that is valid for modules only"
    )
    parser.add_argument(
        "--ca",
        action="store_true",
        help="for a key that delegates: a certificate that is valid for signing certificates, and for nothing else",
    )
    parser.add_argument(
        "--combined", action="store_true", help="write the certificate into KEY as well, as in certs/signing_key.pem"
    )
    parser.add_argument(
        "--encrypt", action="store_true", help="encrypt the key with the passphrase in KBUILD_SIGN_PIN, or ask for one"
    )
    parser.add_argument(
        "--delegate-of",
        metavar="KEY",
        type=named_word,
        help="let this key, a file or a pkcs11: URI, sign the certificate: the new key signs modules in its place "
        "(`sign --embed-certificates`), where its certificate is enrolled; also writes a .blacklist, which revokes the "
        "new one",
    )
    parser.add_argument(
        "--delegate-cert",
        metavar="CERT",
        type=named_word,
        help="the certificate of --delegate-of's key (default: the one in the key's file)",
    )
    add_quiet(parser, "do not print the files that were written, and how to enrol the certificate")
    parser.add_argument("--force", action="store_true", help="replace existing files")


def run(args: argparse.Namespace) -> int:
    """Write the files. Prints their names, and how to enrol the certificate for Secure Boot."""
    from kbuildpy.cli.make_key import make_key  # (slow: cryptography)

    return make_key(args)

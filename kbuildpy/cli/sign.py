# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign`: scripts/sign-file for any number of modules."""

from __future__ import annotations

import argparse

from kbuildpy.cli.shared_options import add_format, add_jobs, add_quiet, add_verbose, named_path, named_word

EXAMPLES = (
    "kbuildpy sign BUILD --key signing_key.pem --cert signing_key.crt",
    "kbuildpy sign hello.ko --key 'pkcs11:token=release;object=modules' -k 6.1.0-56-amd64",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy sign`."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE | DIR",
        type=named_path,
        help="modules, also compressed ones, or directories of modules",
    )
    parser.add_argument(
        "--key", metavar="KEY", type=named_word, help="the private key: a file (PEM or DER), or a pkcs11: URI"
    )
    parser.add_argument(
        "--cert", metavar="CERT", type=named_word, help="its certificate (default: the one in the key's file)"
    )
    parser.add_argument(
        "--hash", metavar="ALGO", help="sha256, sha512, sha3-256, ... (default: the hash of the kernel's own modules)"
    )
    parser.add_argument("-k", "--kernel", metavar="KERNEL", help="the kernel whose configuration names the hash")
    parser.add_argument("--replace", action="store_true", help="replace existing signatures")
    parser.add_argument(
        "--embed-certificates",
        action="store_true",
        help="put the certificate, and those behind it in its file, into each signature: for a delegated key "
        "(keygen --delegate-of), whose certificate the kernel does not have",
    )
    parser.add_argument("--key-id", action="store_true", help="name the certificate by its key identifier")
    parser.add_argument(
        "-p", "--save", action="store_true", help="also write the signature to a file beside the module (.p7s)"
    )
    parser.add_argument(
        "-d",
        "--detached",
        action="store_true",
        help="write the signature only to that file, and do not change the module",
    )
    parser.add_argument(
        "-s", "--attach", metavar="FILE", type=named_path, help="append this signature, which was made elsewhere"
    )
    parser.add_argument(
        "--manifest", metavar="FILE", type=named_path, help="add a line of JSON for each module that was signed"
    )
    add_jobs(parser)
    add_verbose(parser, "also print modules that had this signature already")
    add_quiet(parser, "print errors only")
    add_format(parser, "a line each (default), or one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Sign modules; 0 if all of them are signed at the end."""
    from kbuildpy.cli.sign_modules import sign_modules  # (slow: cryptography)

    return sign_modules(args)

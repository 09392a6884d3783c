# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign`: scripts/sign-file for any number of modules."""

from __future__ import annotations

import argparse

from kbuildpy.cli.shared_options import add_format, add_jobs, add_quiet, add_verbose, named_path, named_word

EXAMPLES = (
    "kbuildpy sign BUILD --key signing_key.pem --cert signing_key.crt",
    "kbuildpy sign hello.ko --key 'pkcs11:token=release;object=modules' -k 6.1.0-56-amd64",
    "kbuildpy sign BUILD --cert release.crt --export list.json",
    "kbuildpy sign BUILD --cert release.crt --import list.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy sign`."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE | DIR",
        type=named_path,
        help="modules, also compressed ones, or directories of modules",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        type=named_word,
        help="the private key: a file (PEM or DER), or a pkcs11: URI; more URIs are tokens with copies of the key",
    )
    parser.add_argument(
        "--sessions",
        metavar="N",
        default=1,
        type=int,
        help="sessions of each token that sign at the same time (default: 1)",
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
    parser.add_argument(
        "--strip",
        action="store_true",
        help="strip the modules first, as their kernel tree does with INSTALL_MOD_STRIP=1",
    )
    parser.add_argument(
        "--debug-files",
        metavar="DIR",
        type=named_path,
        help="with --strip: keep the debug information in DIR, where `decode --debug-files` and gdb find it",
    )
    parser.add_argument(
        "--queue",
        metavar="FILE",
        type=named_path,
        help="sign together with other processes that name this FILE, which the first one makes, each module once",
    )
    elsewhere = parser.add_argument_group("a key on another machine")
    elsewhere.add_argument(
        "--export", metavar="LIST", type=named_path, help="write the digests of the modules to LIST, and sign nothing"
    )
    elsewhere.add_argument(
        "--digests", metavar="LIST", type=named_path, help="sign the digests in LIST, and add the signatures to it"
    )
    elsewhere.add_argument(
        "--import",
        dest="imported",
        metavar="LIST",
        type=named_path,
        help="sign the modules with the signatures in LIST",
    )
    add_jobs(parser)
    add_verbose(parser, "also print modules that had this signature already")
    add_quiet(parser, "print errors only")
    add_format(parser, "a line each (default), or one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Sign modules; 0 if all of them are signed at the end."""
    from kbuildpy.cli.sign_modules import sign_modules  # (slow: cryptography)

    return sign_modules(args)

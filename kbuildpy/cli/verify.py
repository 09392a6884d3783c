# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy verify`: are modules signed, intact, and trusted by a kernel?"""

from __future__ import annotations

import argparse

from kbuildpy.cli.shared_options import add_format, add_jobs, add_kernels, add_quiet, add_verbose, named_path

EXAMPLES = ("kbuildpy verify BUILD --cert signing_key.crt", "kbuildpy verify hello.ko -k 6.1.0-56-amd64 --format json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy verify`."""
    parser.epilog = (
        "With several -k there is a result for each file and kernel; certificates that are also named "
        "count as enrolled in each kernel. Exit status: 0 all are intact and trusted; 1 one is not; 2 "
        "the call was wrong."
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE | DIR", type=named_path, help="modules, or directories of them"
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        type=named_path,
        help="the modules must match this file, which `--manifest` of sign or install wrote (default for "
        "FILE: all modules in it); modules that install did not sign need no certificate",
    )
    parser.add_argument(
        "--cert", action="append", default=[], metavar="FILE", type=named_path, help="trust its certificates"
    )
    parser.add_argument(
        "--cert-dir",
        action="append",
        default=[],
        metavar="DIR",
        type=named_path,
        help="trust the certificates of all files in DIR",
    )
    parser.add_argument(
        "--mok",
        action="append",
        default=[],
        metavar="FILE",
        type=named_path,
        help="trust a MOK list (MokListRT or exported)",
    )
    add_kernels(
        parser,
        "trust the certificates that are built into a kernel: the path of its image or tree, a release, "
        "`running`, `all` or `fetched`",
    )
    parser.add_argument(
        "--revoked",
        action="append",
        default=[],
        metavar="FILE",
        type=named_path,
        help="do not trust its certificates, or hashes (tbs:HEX, bin:HEX, or an EFI list)",
    )
    add_jobs(parser)
    add_verbose(parser, "also print the fields of each signature, as modinfo does", besides=["--modinfo"])
    add_quiet(parser, "print only modules that are not trusted")
    add_format(parser, "a line each (default), or one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Print one result for each file and kernel; 0 if all are trusted."""
    from kbuildpy.cli.verify_modules import verify_modules  # (slow: cryptography)

    return verify_modules(args)

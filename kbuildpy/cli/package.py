# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy package`: modules as packages, which are checked for the kernel that they are for."""

from __future__ import annotations

import argparse

from kbuildpy.cli.shared_options import (
    add_certificates,
    add_format,
    add_jobs,
    add_kernels,
    add_quiet,
    named_path,
    named_word,
)

FORMATS = ("deb", "rpm", "sysext", "oci", "tar", "dkms-deb")
EXAMPLES = (
    "kbuildpy package deb hello.ko -k 6.1.0-56-amd64 --maintainer 'Jane Doe <jane@example.org>' -o packages",
    "kbuildpy package tar build/6.1.0-56-amd64 --name drv --version 2.1 --cert release.crt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy package`."""
    parser.epilog = (
        "A module that the kernel would not load, that is for another kernel, or that has no trusted signature where "
        "one is required, is refused, and nothing is written. Files are dated by SOURCE_DATE_EPOCH, else as the newest "
        "module. Exit status: 0 written; 1 refused, or not written; 2 the call was wrong."
    )
    parser.add_argument("package", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE | DIR",
        type=named_path,
        help="modules, or directories of them, also built ones",
    )
    add_kernels(
        parser,
        "the kernel that the modules are for: a release, a pattern, the path of a kernel tree or image, `running`, "
        "`all` or `fetched`; a package for each (default: KDIR of the environment, else the running kernel, else the "
        "newest one installed, if modules were built for it; else the kernel that they were built for)",
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=named_path, help="write packages to DIR (default: here)")
    parser.add_argument(
        "--name", metavar="NAME", type=named_word, help="(default: of the one module, else as dkms.conf says)"
    )
    parser.add_argument(
        "--version",
        metavar="VERSION",
        type=named_word,
        help="(default: MODULE_VERSION of all modules, else as dkms.conf says)",
    )
    parser.add_argument("--maintainer", metavar="'NAME <ADDRESS>'", type=named_word, help=_MAINTAINER)
    parser.add_argument("--summary", metavar="TEXT", type=named_word, help="(default: MODULE_DESCRIPTION)")
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=named_word,
        help="the folder of the modules below lib/modules/RELEASE (default: updates)",
    )
    parser.add_argument(
        "--depends", action="append", default=[], metavar="PACKAGE", type=named_word, help="it needs this one, too"
    )
    parser.add_argument(
        "--needs",
        action="append",
        default=[],
        metavar="FILE | DIR",
        type=named_path,
        help="modules of another package that are loaded before",
    )
    parser.add_argument("--copyright", metavar="FILE", type=named_path, help="the file about licences and authors")
    parser.add_argument(
        "--require-signature", action="store_true", help="refuse modules without a signature that the kernel trusts"
    )
    add_certificates(parser, "trust its certificates, too; with it, signatures are required")
    _add_formats(parser)
    add_jobs(parser)
    add_quiet(parser, "print errors only")
    add_format(parser, "text (default), or one JSON object for each package")


def run(args: argparse.Namespace) -> int:
    """Write the packages; 0 if all are."""
    from kbuildpy.cli.package_modules import package_modules  # (slow: the loader's stages, cryptography)

    return package_modules(args)


def _add_formats(parser: argparse.ArgumentParser) -> None:
    """The options of single formats."""
    group = parser.add_argument_group("options of single formats")
    group.add_argument("--compression", choices=("zst", "xz", "gz"), help="tar: (default: zst)")
    group.add_argument("--weak", action="store_true", help="rpm: for all kernels with the same interface (kABI)")
    group.add_argument("--cp", metavar="FILE", type=named_path, help="oci: a static program that KMM can copy with")
    group.add_argument("--file-system", choices=("squashfs", "erofs"), help="sysext: (default: squashfs)")
    group.add_argument("--os", metavar="ID", type=named_word, help="sysext: for this distribution only")
    group.add_argument(
        "--os-version", metavar="VERSION_ID", type=named_word, help="sysext: for this version of it only"
    )
    group.add_argument(
        "--level", metavar="SYSEXT_LEVEL", type=named_word, help="sysext: for this level in place of that"
    )
    group.add_argument("--verity", action="store_true", help="sysext: with a hash tree and its root hash")
    group.add_argument("--verity-key", metavar="FILE", type=named_word, help="sysext: sign the root hash with this key")
    group.add_argument("--verity-cert", metavar="FILE", type=named_word, help="sysext: the certificate of that key")


_MAINTAINER = "who is responsible for it (default: DEBFULLNAME and DEBEMAIL, else an author of the modules)"

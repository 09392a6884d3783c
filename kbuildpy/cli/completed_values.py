# SPDX-License-Identifier: GPL-2.0-only
"""What may stand for a METAVAR of the commands' help, for the shells' completion.

Each metavar has a row, also those for which nothing can be proposed: a test fails for one without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from kbuildpy.cli import COMMANDS

Words = tuple[tuple[str, str], ...]
"""Values and descriptions."""


@dataclass(frozen=True)
class Values:
    """What may stand for a metavar."""

    words: Words = ()
    patterns: tuple[str, ...] = ()
    """Files that are proposed."""
    folders: bool = False
    """Whether directories are, alone or on the way to files."""
    listed: bool = False
    """Whether words may follow each other with commas."""
    asked: str = ""
    """A file beside this one and its function that gives more words; it gets the positional words of the call."""


def values_of(metavar: str, positionals: Sequence[str]) -> Values:
    """What may stand for `metavar` in a call with these positional words before it."""
    found = VALUES.get(metavar, NOTHING)
    if not found.asked:
        return found
    # (these files import rooms, and only some of the metavars need them)
    file, _, name = found.asked.partition(".")
    function: Callable[[Sequence[str]], Words] = getattr(import_module(f"kbuildpy.cli.{file}"), name)
    return Values(found.words + function(positionals), found.patterns, found.folders, found.listed)


def _words(text: str) -> Words:
    return tuple((word, "") for word in text.split())


NOTHING = Values()
_FOLDER = Values(folders=True)
_FILE = Values(patterns=("*",), folders=True)
_MODULE_FILES = ("*.ko", "*.ko.gz", "*.ko.xz", "*.ko.zst", "*.o")
_MODULES = Values(patterns=_MODULE_FILES, folders=True)
_KERNEL = Values(folders=True, asked="completed_kernels.kernels")
_MODULE_NAMES = Values(patterns=_MODULE_FILES, folders=True, asked="completed_kernels.loaded_modules")
_VARIABLES = _words("KDIR= V=1 W=1 C=1 ARCH= CROSS_COMPILE= LLVM=1 KCFLAGS= KBUILD_EXTRA_SYMBOLS= CHECK=0")
_KEY = Values(patterns=("*.pem", "*.key", "*.priv"), folders=True)
_CERTIFICATE = Values(patterns=("*.crt", "*.pem", "*.x509", "*.der", "*.cer"), folders=True)
_STORES = _words("s3:// http:// https:// redis://")
_HASHES = Values(_words("sha256 sha384 sha512 sha3-256 sha3-384 sha3-512"))

VALUES = {
    "KERNEL": _KERNEL,
    "A": _KERNEL,
    "B": _KERNEL,
    "RELEASE": Values(asked="completed_kernels.releases"),
    "RELEASE[/ARCH]": Values(asked="completed_kernels.releases"),
    "PATTERN": Values(asked="completed_kernels.releases"),
    "DIR": _FOLDER,
    "OUT": _FOLDER,
    "PATH": _FOLDER,
    "PREFIX": _FOLDER,
    "DIR | VAR=VALUE": Values(_VARIABLES, folders=True),
    "DIR | TARGET | VAR=VALUE": Values(_VARIABLES, patterns=("*.c", "*.S", "*.rs"), folders=True),
    "DIR | SOURCE | VAR=VALUE": Values(_VARIABLES, patterns=("*.c", "*.S", "*.rs"), folders=True),
    "DIR | OBJECT | SOURCE | VAR=VALUE": Values(_VARIABLES, patterns=("*.c", "*.S", "*.rs", "*.o"), folders=True),
    "DIR | FILE.ko | VAR=VALUE": Values(_VARIABLES, _MODULE_FILES, folders=True),
    "FILE.ko | VAR=VALUE": Values(_VARIABLES, _MODULE_FILES, folders=True),
    "FILE | DIR | VAR=VALUE": Values(_VARIABLES, _MODULE_FILES, folders=True),
    "FILE | DIR": _MODULES,
    "FILE.ko|DIR": _MODULES,
    "FILE | DIR | NAME": _MODULE_NAMES,
    "NAME | FILE": _MODULE_NAMES,
    "FILE": _FILE,
    "FILE.json": Values(patterns=("*.json",), folders=True),
    "LOG | - | FILE | DIR": _FILE,
    "LIST": _FILE,
    "PROOF": Values(patterns=("*.json", "*.jsonl"), folders=True),
    "PROGRAM": _FILE,
    "KEY": _KEY,
    "CERT": _CERTIFICATE,
    "ALGO": _HASHES,
    "HASH": _HASHES,
    "ALGORITHM": Values(_words("rsa-2048 rsa-3072 rsa-4096 p-256 p-384 p-521 ml-dsa-44 ml-dsa-65 ml-dsa-87")),
    "TEMPLATE": Values(asked="completed_names.templates"),
    "OPTION": Values(asked="completed_names.template_options"),
    "LICENSE": Values(_words("GPL-2.0-only GPL-2.0-or-later")),
    "SET,...": Values(asked="completed_names.option_sets", listed=True),
    "STEPS": Values(_words("build sign check run"), listed=True),
    "NAME[=PROGRAM]": Values(asked="completed_names.checkers"),
    "FIELD": Values(
        _words(
            "alias author depends description filename firmware import_ns intree license name parm retpoline "
            "sig_hashalgo sig_id sig_key signature signer softdep srcversion vermagic version"
        )
    ),
    "ACTION | NAME/VERSION | DIR": Values(folders=True, asked="completed_names.dkms_words"),
    "NAME[/VERSION]": Values(asked="completed_names.dkms_packages"),
    "ADDRESS": Values(_STORES, folders=True),
    "show | clean | ADDRESS": Values(_words("show clean") + _STORES, folders=True),
    "build [SOURCE]": Values(_words("build"), folders=True),
    "local | dask://HOST:PORT | slurm[://TASKS]": Values(_words("local dask:// slurm slurm://")),
    "COMMAND": Values(tuple(COMMANDS.items())),
    "-NN": NOTHING,
    "'NAME <ADDRESS>'": NOTHING,
    "'NAME [PARAM=VALUE ...]'": NOTHING,
    "[NAME:]'PARAM=VALUE ...'": NOTHING,
    "ARCH": Values(_words("x86_64 arm64 riscv64 i386 arm powerpc s390")),
    "AUTHOR": NOTHING,
    "DESCRIPTION": NOTHING,
    "DEVICE": NOTHING,
    "I/N": NOTHING,
    "ID": Values(_words("debian ubuntu fedora arch opensuse-tumbleweed alpine")),
    "MIB": NOTHING,
    "N": NOTHING,
    "N|all": Values(_words("all")),
    "NAME": Values(asked="completed_kernels.loaded_modules"),
    "NAME=VALUE": NOTHING,
    "PACKAGE": NOTHING,
    "PLACE": Values(patterns=("*.c",)),
    "PORT": NOTHING,
    "SECONDS": NOTHING,
    "SIZE": NOTHING,
    "SYSEXT_LEVEL": NOTHING,
    "TEXT": NOTHING,
    "URI": NOTHING,
    "VERSION": NOTHING,
    "VERSION_ID": NOTHING,
    "WORDS": NOTHING,
}
"""Each metavar of the commands with what may stand for it. Arguments with `choices` need no row."""

# SPDX-License-Identifier: GPL-2.0-only
"""Options that several commands have (`-k`, `-j`, `-q`, `--format`, `--with`), words that are paths or VAR=VALUE."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import UsageError

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*=")


def split_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The paths among `words`, and the variables by name. Raises `UsageError` for a word that is neither."""
    if "" in words:
        raise UsageError("an empty word is neither a path nor a variable", hint="is a variable of the shell not set?")
    paths = [word for word in words if not _VARIABLE.match(word)]
    misnamed = [word for word in paths if "=" in word and not Path(word).exists()]
    if misnamed:
        raise UsageError(
            f"{misnamed[0]}: neither a variable of make nor a directory",
            hint="a variable is NAME=VALUE; its name has letters, digits and underscores",
        )
    return paths, dict(word.split("=", 1) for word in words if _VARIABLE.match(word))


def named_path(word: str) -> Path:
    """The type of an argument that names a file or a directory. An empty argument, such as an unset shell variable, is
    refused: it would mean the working directory."""
    return Path(named_word(word))


def require_folder(path: Path | None) -> None:
    """Raise `UsageError` where the folder of a file that is to be written is not there."""
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such directory", hint="make it first, or name another file")


def named_word(word: str) -> str:
    """The type of an argument that names a key: a file or an object on a token. An empty argument is refused: it would
    mean no key."""
    if not word:
        raise argparse.ArgumentTypeError("an empty name")
    return word


_TREES = (
    "a kernel tree's path, a release, a pattern such as '6.1.0-*', `running`, `all` (installed), `fetched` or `built` "
    "(default: KDIR, else the running kernel's tree, else the newest one installed)"
)


def add_kernels(parser: argparse.ArgumentParser, help: str = _TREES) -> None:
    """Add `-k KERNEL`, which may repeat: `kernels`, the words for `kernel.resolve`."""
    parser.add_argument("-k", "--kernel", action="append", default=[], metavar="KERNEL", dest="kernels", help=help)


def add_certificates(
    parser: argparse.ArgumentParser, help: str = "certificates that are enrolled in the machine (MOK)"
) -> None:
    """Add `--cert`, which may repeat."""
    parser.add_argument("--cert", action="append", default=[], metavar="FILE", type=named_path, help=help)


def add_enforcement(parser: argparse.ArgumentParser) -> None:
    """Add how the kernel was started, as far as signatures are concerned."""
    add_certificates(parser)
    parser.add_argument("--sig-enforce", action="store_true", help="the kernel runs with module.sig_enforce=1")
    parser.add_argument("--lockdown", action="store_true", help="the kernel is locked down (Secure Boot)")


def add_build_output(parser: argparse.ArgumentParser) -> None:
    """Add `--build OUT`: `build`."""
    parser.add_argument(
        "--build",
        metavar="OUT",
        type=named_path,
        help="the output directory of the build, for modules that lie elsewhere",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add `-j N`: `jobs`, which `job_count` reads."""
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="jobs at a time (default: one per processor)")


def job_count(args: argparse.Namespace) -> int:
    """The number of jobs of `-j`, 0 without the option. Raises `UsageError` for less than one."""
    jobs: int | None = args.jobs
    if jobs is not None and jobs < 1:
        raise UsageError(f"-j {jobs}: at least one job")
    return jobs or 0


def add_quiet(parser: argparse.ArgumentParser, help: str, *, besides: Sequence[str] = ()) -> None:
    """Add `-q`: `quiet`; `besides` are other letters for it."""
    parser.add_argument("-q", "--quiet", *besides, action="store_true", dest="quiet", help=help)


def add_verbose(parser: argparse.ArgumentParser, help: str, *, besides: Sequence[str] = ()) -> None:
    """Add `-v`: `verbose`; `besides` are other letters for it."""
    parser.add_argument("-v", "--verbose", *besides, action="store_true", dest="verbose", help=help)


def add_format(parser: argparse.ArgumentParser, help: str, *, formats: Sequence[str] = ("text", "json")) -> None:
    """Add `--format`: `format`, by default text."""
    parser.add_argument("--format", choices=formats, default="text", help=help)


def add_sets(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `--with SETS`, which may repeat."""
    parser.add_argument("--with", action="append", default=[], dest="sets", metavar="SET,...", help=help)


def add_compilers(parser: argparse.ArgumentParser) -> None:
    """Add `--llvm`, and where sources come from."""
    parser.add_argument(
        "--llvm",
        nargs="?",
        const="1",
        default="",
        metavar="-NN",
        help="compile the kernel with clang; --llvm=-16: with clang-16, as LLVM=-16 of make",
    )
    parser.add_argument(
        "--update", action="store_true", help="download the package of sources again if apt offers a newer one"
    )

# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy completion`: what shells complete, and manual pages, from the parsers of the commands.

The script of a shell knows nothing of commands: at each Tab it asks `kbuildpy completion --words`, which answers from
the same parsers that read a call. So a script stays right when kbuildpy is replaced by a newer one. What goes in and
out is in `complete_words`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from kbuildpy.cli.complete_words import answer_line, answer_words
from kbuildpy.cli.manual_pages import manual_pages
from kbuildpy.cli.shared_options import add_quiet, named_path
from kbuildpy.errors import UsageError
from kbuildpy.files import replacing
from kbuildpy.printable import printable

EXAMPLES = (
    "kbuildpy completion bash",
    "kbuildpy completion --install ~/.local",
)

SHELLS = {
    "bash": ("kbuildpy.bash", "share/bash-completion/completions/kbuildpy"),
    "zsh": ("_kbuildpy", "share/zsh/site-functions/_kbuildpy"),
    "fish": ("kbuildpy.fish", "share/fish/vendor_completions.d/kbuildpy.fish"),
}
"""Each shell with the file of its script beside this one, and where the shell looks for it below a prefix."""
_MANUAL = "share/man/man1"
_ANSWERS = {"words": answer_words, "line": answer_line}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy completion`."""
    parser.epilog = (
        "Commands, options, kernel releases, templates, checkers, sets of options, module files and directories are "
        "completed. The script asks the installed kbuildpy at each Tab. To use it in one shell: "
        "source <(kbuildpy completion bash)."
    )
    parser.add_argument("shell", nargs="?", choices=SHELLS, metavar="SHELL", help=f"print the script of {_listed()}")
    parser.add_argument(
        "--install",
        metavar="PREFIX",
        type=named_path,
        help="write the scripts of all shells and the manual pages below PREFIX/share, such as ~/.local or /usr/local; "
        "files of the same names are replaced",
    )
    parser.add_argument("--words", choices=_ANSWERS, dest="form", help=argparse.SUPPRESS)
    add_quiet(parser, "with --install: do not print the files that were written")


def run(args: argparse.Namespace) -> int:
    """Print a script, write all files, or answer a shell."""
    if args.form:
        words = sys.stdin.buffer.read().decode(errors="surrogateescape").split("\0")[:-1]
        print("\n".join(_ANSWERS[args.form](words)))
        return 0
    if (args.shell is None) == (args.install is None):
        raise UsageError("name a shell, or --install PREFIX", hint=f"kbuildpy completion {'|'.join(SHELLS)}")
    if args.shell:
        print(script(args.shell), end="")
        return 0
    for place, text in _files().items():
        path = args.install / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as replacement:
            replacement.write(text.encode(), mode=0o644, durable=False)
        if not args.quiet:
            print(printable(str(path)))
    return 0


def script(shell: str) -> str:
    """The completion script of one of `SHELLS`."""
    return (Path(__file__).parent / "shells" / SHELLS[shell][0]).read_text()


def _files() -> dict[str, str]:
    """Everything that is installed: its path below the prefix, and its text."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    pages = {f"{_MANUAL}/{name}.1": text for name, text in manual_pages(date).items()}
    return {**{place: script(shell) for shell, (_, place) in SHELLS.items()}, **pages}


def _listed() -> str:
    *others, last = SHELLS
    return f"{', '.join(others)} or {last}"

# SPDX-License-Identifier: GPL-2.0-only
"""What a MAKE line of a dkms.conf asks for: a build that is Kbuild's alone, or a command that does more."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.shell_words import is_operator, shell_words

_VARIABLE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_UNQUOTED = re.compile(r"[$`*?\[{\n]|(?:^|[\s=:])~|(?:^|\s)[#!]")
"""Characters that the shell expands or takes for syntax, at least outside of quotes."""
_DIRECTORY_OPTION = re.compile(r"(-C|--directory=)(.*)")


@dataclass(frozen=True)
class KbuildMake:
    """A command that only calls Kbuild: `make -C KDIR M=DIR modules`."""

    below: str
    """The module directory, below the package's build directory ("" for that itself)."""
    variables: dict[str, str] = field(default_factory=dict)
    """The variables of the command line, without those that choose the kernel and the directory."""


def kbuild_call(command: str, *, tree: Path, build: Path) -> KbuildMake | None:
    """The call that `command` consists of, where its kernel tree is `tree` and its directory is `build` or below;
    None for a command that does more, or something else. An empty command is Kbuild's."""
    if not command:
        return KbuildMake("")
    try:
        words = list(shell_words(command))
    except ValueError:
        return None
    if _UNQUOTED.search(command) or any(map(is_operator, words)) or words[:1] != ["make"]:
        return None
    return _call(words[1:], tree, build)


def _call(words: list[str], tree: Path, build: Path) -> KbuildMake | None:
    directories: list[str] = []
    variables: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if found := _DIRECTORY_OPTION.fullmatch(word):
            directories.append(found[2] or next(rest, ""))
        elif found := _VARIABLE.fullmatch(word):
            variables[found[1]] = found[2]
        elif re.fullmatch(r"-j\d*|--jobs(=\d+)?|-s|-k|--no-print-directory", word):
            continue
        elif word != "modules":
            return None
    module_directory = variables.pop("M", "") or variables.pop("SUBDIRS", "")
    if len(directories) != 1 or not _is_same(directories[0], tree):
        return None
    below = posixpath.relpath(posixpath.normpath(module_directory), build) if module_directory.startswith("/") else ".."
    if below.startswith(".."):
        return None
    variables.pop("KERNELRELEASE", "")
    return KbuildMake("" if below == "." else below, variables)


def _is_same(path: str, tree: Path) -> bool:
    return path.startswith("/") and os.path.realpath(path) == os.path.realpath(tree)

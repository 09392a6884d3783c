# SPDX-License-Identifier: GPL-2.0-only
"""`env.CompilationDatabase()`: the commands of module objects for SCons' own `compile_commands.json`.

SCons' tool keeps a list of the objects that its builders make. Kbuild's commands name files from the directory that
they run in, and SCons writes the project's: so every name is given in full.
"""

from __future__ import annotations

import os
import shlex
import sys
from itertools import pairwise
from typing import Any

# Options whose value, a path, is a word of its own.
_BEFORE_PATH = frozenset({"-I", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-o"})


def note_compilation(env: Any, target: Any, source: Any, command: str, *, cwd: str) -> None:
    """Let the database have `command`, run in `cwd`; the project has loaded SCons' tool for it."""
    entries = vars(sys.modules["SCons.Tool.compilation_db"])["__COMPILATION_DB_ENTRIES"]
    entries.append((target, source, env, _Command(command, cwd, target, source)))


class _Command:
    """A command, for SCons' tool."""

    def __init__(self, command: str, cwd: str, target: Any, source: Any) -> None:
        self._command, self._cwd, self._target, self._source = command, cwd, target, source

    def strfunction(self, *_: Any) -> str:
        """The command for a database; the compiler's alone, with paths in full."""
        first = self._command.split(";", 1)[0]
        words = _with_full_paths(shlex.split(first), self._cwd)
        words = [word for word in words if not word.startswith("-Wp,-M")]
        if "-o" in words:
            words[words.index("-o") + 1] = self._target.get_abspath()
        node = self._source if self._source.is_derived() else self._source.srcnode()
        return shlex.join([*words[:-1], node.get_abspath()])


def _with_full_paths(words: list[str], cwd: str) -> list[str]:
    def full(path: str) -> str:
        return os.path.normpath(os.path.join(cwd, path))  # noqa: PTH118

    found = words[:1]
    for before, word in pairwise(words):
        if before in _BEFORE_PATH:
            found.append(full(word))
        elif word.startswith("-I") and len(word) > 2:
            found.append(f"-I{full(word[2:])}")
        elif word.startswith("-fplugin=."):
            found.append(f"-fplugin={full(word.removeprefix('-fplugin='))}")
        else:
            found.append(word)
    return found

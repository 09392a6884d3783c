# SPDX-License-Identifier: GPL-2.0-only
"""`env.CompilationDatabase()`: the commands of module objects for SCons' own `compile_commands.json`.

SCons' tool keeps a list of the objects that its builders make, and writes the project's directory as the one that
commands run in: so every name of Kbuild's is given in full.
"""

from __future__ import annotations

import os
import shlex
import sys
from itertools import pairwise
from typing import Any

from kbuildpy.kbuild.compile_commands import compile_command
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import ObjectPlan
from kbuildpy.kbuild.tree_answer import TreeAnswer

# Options whose value, a path, is a word of its own.
_BEFORE_PATH = frozenset({"-I", "-include", "-imacros", "-isystem", "-iquote", "-idirafter"})


def note_compilation(env: Any, target: Any, source: Any, item: ObjectPlan, layout: Layout, answer: TreeAnswer) -> None:
    """Let the database have the command of the object `item`; the project has loaded SCons' tool for it."""
    entries = vars(sys.modules["SCons.Tool.compilation_db"])["__COMPILATION_DB_ENTRIES"]
    entries.append((target, source, env, _Command(item, layout, answer)))


class _Command:
    """A command, for SCons' tool."""

    def __init__(self, item: ObjectPlan, layout: Layout, answer: TreeAnswer) -> None:
        self._item, self._layout, self._answer = item, layout, answer

    def strfunction(self, *_: Any) -> str:
        """The command for a database, with paths in full."""
        entry = compile_command(self._item, self._layout, self._answer)
        return shlex.join(_with_full_paths(entry["arguments"], entry["directory"]))


def _with_full_paths(words: list[str], cwd: str) -> list[str]:
    def full(path: str) -> str:
        return os.path.normpath(os.path.join(cwd, path))  # noqa: PTH118

    found = words[:1]
    for before, word in pairwise(words):
        if before in _BEFORE_PATH:
            found.append(full(word))
        elif word.startswith("-I") and len(word) > 2:
            found.append(f"-I{full(word[2:])}")
        else:
            found.append(word)
    return found

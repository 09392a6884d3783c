# SPDX-License-Identifier: GPL-2.0-only
"""`compile_commands.json`: the commands of a plan's objects for editors and for clang's tools.

The counterpart is scripts/clang-tools/gen_compile_commands.py, which reads the `.cmd` files of objects that were built
and writes GCC's commands unchanged. Here the module need not be built, and paths name the user's files (not an overlay,
nor a copy of the directory). GCC's commands keep only the options that clang knows (`clang_options`), because every
tool that reads `compile_commands.json` is built on clang; a `.clangd` file would help clangd alone.

The format: https://clang.llvm.org/docs/JSONCompilationDatabase.html
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import TypedDict

from kbuildpy.kbuild.clang_options import options_for_clang
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import ObjectPlan, Plan
from kbuildpy.kbuild.tree_answer import TreeAnswer

# Options whose value is a folder of headers, in the same word or in the next one.
_FOLDERS = ("-I", "-isystem", "-iquote", "-idirafter")
# Options whose value is a file.
_FILES = ("-include", "-imacros")


class CompileCommand(TypedDict):
    """An entry of `compile_commands.json`."""

    directory: str
    """Where the compiler runs: names in the arguments are relative to it."""
    file: str
    """The source (absolute)."""
    arguments: list[str]
    """The words of the command."""
    output: str
    """The object (absolute)."""


def compile_commands(plan: Plan, layout: Layout, answer: TreeAnswer) -> list[CompileCommand]:
    """An entry for each object of `plan` that is compiled from C, in the order of the plan."""
    return [compile_command(item, layout, answer) for item in plan.objects if has_compile_command(item)]


def has_compile_command(item: ObjectPlan) -> bool:
    """Whether the object has an entry. One compiled from assembly has none: clang's tools report errors for it."""
    return bool(item.steps) and item.steps[0].rule == "cc_o_c"


def compile_command(item: ObjectPlan, layout: Layout, answer: TreeAnswer) -> CompileCommand:
    """The entry for one object, whose first step compiles it."""
    # the command of objtool may follow after `;`
    words = shlex.split(item.steps[0].command.split(";", 1)[0])
    source, output = real_file(layout, layout.absolute(item.source)), layout.actual(item.target)
    arguments = list(_with_real_names(words[:-1], layout, output))
    arguments += _beside_the_source(layout, layout.absolute(item.source), source)
    if "clang" in answer.compiler:
        arguments = [word for word in arguments if not word.startswith("-Wp,-M")]
    else:
        arguments = options_for_clang(arguments)
    return {"directory": layout.cwd, "file": source, "arguments": [*arguments, source], "output": output}


def real_file(layout: Layout, path: str) -> str:
    """The user's file for the nominal `path` (absolute): the file found in an overlay, or the original of a copied
    file."""
    found = layout.find(path)
    return next((place for place in _originals(layout, found) if os.path.isfile(place)), found)  # noqa: PTH113


def _with_real_names(words: list[str], layout: Layout, output: str) -> Iterator[str]:
    before = ""
    for word in words:
        option, value = _split(word, before)
        if before == "-o":
            yield output
        elif option in _FOLDERS and value:
            yield from _folder_options(layout, option, word, value, own_word=bool(before))
        elif option in _FILES and value:
            found = real_file(layout, layout.absolute(value))
            yield word if found == layout.absolute(value) else found
        else:
            yield word
        before = word if word in (*_FOLDERS, *_FILES, "-o") else ""


def _split(word: str, before: str) -> tuple[str, str]:
    """The option of `_FOLDERS` or `_FILES` that `word` holds, and its value. If the word `before` is such an option,
    `word` is its value. The option is "" if there is none, the value "" if it is the next word."""
    if before:
        return before, word
    option = next((name for name in (*_FOLDERS, *_FILES) if word.startswith(name)), "")
    return option, word[len(option) :]


def _folder_options(layout: Layout, option: str, word: str, value: str, *, own_word: bool) -> Iterator[str]:
    """The words for one folder of headers. In an overlay or a copy they name two folders: the user's, and the one with
    the files that make wrote."""
    path = layout.absolute(value)
    places = _places(layout, path)
    if places == [path]:
        yield word
        return
    first, *others = places
    yield first if own_word else f"{option}{first}"
    for place in others:
        yield from (option, place)


def _beside_the_source(layout: Layout, path: str, source: str) -> Iterator[str]:
    """Options for the other folder in which `#include "..."` finds headers beside the source, in an overlay or copy."""
    for place in _places(layout, os.path.dirname(path)):  # noqa: PTH120
        if place != os.path.dirname(source):  # noqa: PTH120
            yield from ("-iquote", place)


def _places(layout: Layout, path: str) -> list[str]:
    """The folders that hold files of the nominal folder `path` (absolute), the user's own first."""
    if layout.overlay is not None:
        first, *others = layout.overlay.folders(path)
        return [first, *(place for place in others if os.path.isdir(place))]  # noqa: PTH112
    originals = [place for place in _originals(layout, path) if os.path.isdir(place)]  # noqa: PTH112
    return [*originals, path]


def _originals(layout: Layout, path: str) -> list[str]:
    """The path (one at most) that `path` was copied from, if it lies in a copy of the directory."""
    if layout.evaluated == layout.directory or not f"{path}/".startswith(f"{layout.evaluated}/"):
        return []
    return [f"{layout.directory}{path[len(layout.evaluated) :]}"]

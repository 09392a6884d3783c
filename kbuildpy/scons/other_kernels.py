# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that `RunModule(kernels=...)` names: those that are here, and small ones with sets of options, which are
built when something is to be run in them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SCons.Script import COMMAND_LINE_TARGETS

from kbuildpy.errors import UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree

_RUNS = ("run", "test")
_ENDING = ".run.log"


@dataclass(frozen=True)
class OtherKernel:
    """A kernel to run modules in."""

    tree: KernelTree
    parameters: tuple[str, ...]
    """Kernel parameters that its sets of options ask for."""


@dataclass(frozen=True)
class KernelWord:
    """What one word of `kernels` names."""

    kernel: str
    """As -k takes it; "" for the line of the modules' own kernel."""
    sets: tuple[str, ...]
    """Names of sets of options."""


def other_kernels(
    env: Any, call: str, words: Sequence[KernelWord], *, line: str, modules: Sequence[Path]
) -> Iterator[OtherKernel]:
    """The kernels that `words` name. `line` is that of the modules' own kernel, `modules` are their files.

    A kernel with sets of options is built, and is among them, only if reports are asked for on the command line. Raises
    `UsageError` for kernels that are not there and for modules that were never built, whose symbols decide over a
    kernel's options.
    """
    for word in words:
        if not word.sets:
            for chosen in resolve([word.kernel], Need.TREE):
                yield OtherKernel(chosen.the_tree(), ())
        elif _asked():
            from kbuildpy.scons.small_kernel import small_kernel  # (slow, and for sets of options only)

            for each in _lines(word) if word.kernel else [line]:
                found = small_kernel(env, call, each, word.sets, modules)
                if found is not None:
                    yield OtherKernel(*found)


def kernel_word(call: str, text: str) -> KernelWord:
    """What `text` names, as `kbuildpy run` does: the value of `-k`, `--with SET,...`, or both. Raises `UsageError`."""
    kernel, sets = "", []
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{call}: kernels={text!r}: {error}") from error
    for word in words:
        if word == "--with" or word.startswith("--with="):
            names = word.partition("=")[2] or next(words, "")
            sets += [name.strip() for name in names.split(",")]
            if not all(sets):
                raise UsageError(f"{call}: kernels={text!r}: no name behind --with")
        elif kernel or word.startswith("-"):
            raise UsageError(
                f"{call}: kernels={text!r}: not a kernel",
                hint="kernels=['6.12.*', '--with kasan', '6.1.* --with lockdep']",
            )
        else:
            kernel = word
    if not kernel and not sets:
        raise UsageError(f"{call}: kernels has an empty word")
    return KernelWord(kernel, tuple(sets))


def _asked() -> bool:
    return any(word in _RUNS or word.endswith(_ENDING) for word in COMMAND_LINE_TARGETS)


def _lines(word: KernelWord) -> list[str]:
    trees = (found.the_tree() for found in resolve([word.kernel], Need.TREE))
    return list(dict.fromkeys(line_of_tree(tree) for tree in trees))


def line_of_tree(tree: KernelTree) -> str:
    """The line of a tree, such as 6.1."""
    return ".".join(map(str, tree.version))

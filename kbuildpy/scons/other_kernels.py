# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that `RunModule(kernels=...)` names: those that are here, and small ones with sets of options, which are
built when something is to be run in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS

from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.scons.kernel_words import KernelWord, line_of_tree

_RUNS = ("run", "test")
_ENDING = ".run.log"


@dataclass(frozen=True)
class OtherKernel:
    """A kernel to run modules in."""

    tree: KernelTree
    parameters: tuple[str, ...]
    """Kernel parameters that its sets of options ask for."""


def other_kernels(
    call: str, words: Sequence[KernelWord], *, line: str, modules: Sequence[Path], idle: bool
) -> Iterator[OtherKernel]:
    """The kernels that `words` name. `line` is that of the modules' own kernel, `modules` are their files.
    `idle`: nothing is built (-n, -c).

    A kernel with sets of options is built, and is among them, only if reports are asked for on the command line. Raises
    `UsageError` for kernels that are not there and for modules that were never built, whose symbols decide over a
    kernel's options.
    """
    for word in words:
        if not word.sets:
            for chosen in resolve([word.kernel], Need.TREE):
                yield OtherKernel(chosen.the_tree(), ())
        elif reports_are_asked_for():
            from kbuildpy.scons.small_kernel import small_kernel  # (slow, and for sets of options only)

            for each in _lines(word) if word.kernel else [line]:
                found = small_kernel(call, each, word, modules, idle=idle)
                if found is not None:
                    yield OtherKernel(*found)


def reports_are_asked_for() -> bool:
    """Whether the command line names reports: only then kernels with sets of options are built."""
    return any(word in _RUNS or word.endswith(_ENDING) for word in COMMAND_LINE_TARGETS)


def _lines(word: KernelWord) -> list[str]:
    trees = (found.the_tree() for found in resolve([word.kernel], Need.TREE))
    return list(dict.fromkeys(line_of_tree(tree) for tree in trees))

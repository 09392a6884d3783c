# SPDX-License-Identifier: GPL-2.0-only
"""The words of `RunModule(kernels=...)`, each as `kbuildpy run` names kernels."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kbuildpy.errors import UsageError
from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class KernelWord:
    """What one word of `kernels` names."""

    kernel: str
    """As -k takes it; "" for the line of the modules' own kernel."""
    sets: tuple[str, ...]
    """Names of sets of options."""
    llvm: str
    """make's LLVM for the kernel with these sets; "" for gcc."""
    text: str
    """The word as it was given."""


def kernel_word(call: str, text: str) -> KernelWord:
    """What `text` names, as `kbuildpy run` does: the value of `-k`; `--with SET,...`, maybe with `--llvm`; or both.
    Raises `UsageError`."""
    kernel, sets, llvm = "", [], ""
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
        elif word == "--llvm" or word.startswith("--llvm="):
            llvm = word.partition("=")[2] or "1"
        elif kernel or word.startswith("-"):
            raise UsageError(
                f"{call}: kernels={text!r}: not a kernel",
                hint="kernels=['6.12.*', '--with kasan', '6.1.* --with lockdep']",
            )
        else:
            kernel = word
    if not kernel and not sets:
        raise UsageError(
            f"{call}: kernels has an empty word" if not llvm else f"{call}: kernels={text!r}: --llvm is for --with"
        )
    return KernelWord(kernel, tuple(sets), llvm, text)


def line_of_tree(tree: KernelTree) -> str:
    """The line of a tree, such as 6.1."""
    return ".".join(map(str, tree.version))

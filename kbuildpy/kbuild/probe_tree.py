# SPDX-License-Identifier: GPL-2.0-only
"""Compiles a probe for a kernel tree: asks make for the tree's answer first (`ask_tree`), then runs its compiler."""

from __future__ import annotations

from collections.abc import Mapping

from kbuildpy.kbuild.ask_tree import ask_tree, watched
from kbuildpy.kbuild.probe import compile_probe
from kbuildpy.kbuild.stamps import Stamp, stamps
from kbuildpy.kernel.tree import KernelTree


def probe_tree(
    tree: KernelTree, source: str, *, variables: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, dict[str, Stamp]]:
    """The assembly that the compiler of `tree` makes from the C text `source`, and the stamps of the files that it
    depends on.

    Raises `KbuildError` when the tree's makefiles fail or `source` does not compile.
    """
    answer = ask_tree(tree, variables=variables, environ=environ)
    probe = compile_probe(answer, source, environ=environ)
    return probe.assembly.decode("latin-1"), {**watched(answer, environ), **stamps(probe.headers)}

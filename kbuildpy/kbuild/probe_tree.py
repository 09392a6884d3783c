# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree's compiler about its headers, from the question to make on."""

from __future__ import annotations

from collections.abc import Mapping

from kbuildpy.kbuild.ask_tree import ask_tree, watched
from kbuildpy.kbuild.probe import compile_probe
from kbuildpy.kbuild.stamps import Stamp, stamps
from kbuildpy.kernel.tree import KernelTree


def probe_tree(
    tree: KernelTree, source: str, *, variables: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, dict[str, Stamp]]:
    """The assembly that `tree` makes of the C text `source`, and the files that it depends on, in their present state.

    Raises `KbuildError` when the tree cannot be asked or `source` does not compile.
    """
    answer = ask_tree(tree, variables=variables, environ=environ)
    probe = compile_probe(answer, source, environ=environ)
    return probe.assembly.decode("latin-1"), {**watched(answer, environ), **stamps(probe.headers)}

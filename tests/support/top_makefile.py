# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree's top Makefile for its variables: the oracle of what a kernel tree says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

# Kbuild listens to these; a test's answer must not depend on them.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in {"ARCH", "CROSS_COMPILE", "CC", "LLVM", "MAKEFLAGS", "KBUILD_OUTPUT"}
}


def evaluate(tree: KernelTree, directory: Path, *names: str, variables: Sequence[str] = ()) -> list[str]:
    """What the variables `names` are in the tree's top Makefile, for an external module in `directory`.

    `variables` are those on make's command line.
    """
    makefile = directory / "print.mk"
    answers = "".join(f"$(info answer: $({name}))\n" for name in names)
    makefile.write_text(f"include {tree.objects}/Makefile\n{answers}print-answer: ;\n")
    # Since 6.13 the top Makefile starts itself again unless it runs where its output goes.
    where = directory if tree.version >= (6, 13) else tree.objects
    argv = [
        "make",
        "-n",
        "-C",
        str(where),
        "--no-print-directory",
        "-f",
        str(makefile),
        f"M={directory}",
        *variables,
        "print-answer",
    ]
    lines = run(argv, env=ENVIRONMENT).text.splitlines()
    return [line.removeprefix("answer:").strip() for line in lines if line.startswith("answer:")]

# SPDX-License-Identifier: GPL-2.0-only
"""Asks again a directory whose Kbuild file is evaluated in each build (`finished_build`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.evaluation import evaluate
from kbuildpy.kbuild.finished_build import AskedAgain
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kernel.open_tree import open_tree


def is_answered_alike(item: AskedAgain, environ: Mapping[str, str]) -> bool:
    """Whether evaluating the directory of `item` in `environ` gives the same plan as before, needs no overlay, and the
    system refuses none. False for a Kbuild file that cannot be evaluated."""
    try:
        answer = ask_tree(
            open_tree(item.objects), variables={item[0]: item[1] for item in item.variables}, environ=environ
        )
        found = evaluate(answer, Path(item.directory), Path(item.out), environ=environ, jobs=1)
    except KbuildError:
        return False  # the build, which then runs, prints the error
    return not found.layout.overlay and not found.refusal and digest(found.plan) == item.plan

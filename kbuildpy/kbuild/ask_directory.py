# SPDX-License-Identifier: GPL-2.0-only
"""Asks what Kbuild would do for one module directory (`mk/directory.mk`), and remembers the answer.

The counterpart is scripts/Makefile.build. It runs under `make -n -B`, which prints the command of every target and
runs none. An answer takes 10 to 60 ms; remembering it saves a no-op build that time and the start of make.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.cached import recall, remember
from kbuildpy.kbuild.check_paths import check_directory_name, check_kbuild_file, check_pattern
from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.overlay import Overlay, find_in
from kbuildpy.kbuild.plan import Plan, plan_from_json, plan_to_json
from kbuildpy.kbuild.stamps import digest, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer

_SOURCE_NAME = re.compile(r"(\.(c|S|rs|mk|h)|_shipped|^Kbuild.*|^Makefile.*)$")


def ask_directory(
    answer: TreeAnswer,
    directory: Path,
    *,
    environ: Mapping[str, str],
    below: str = "",
    cache: Path | None = None,
    kbuild_file: Path | None = None,
    coming_sources: Iterable[str] = (),
    overlay: Overlay | None = None,
    goals: Sequence[str] = (),
) -> Plan:
    """What Kbuild would do for `directory` (absolute, physical), or for its subdirectory `below` alone.

    The file `cache` keeps the answer, unless the plan is `changeable`. `kbuild_file` replaces the directory's own
    Kbuild file. `coming_sources` are the names of sources that other steps of the build create. Files that the Kbuild
    file writes while make reads it go to `overlay`; without one, into the directory. `goals` are single targets to ask
    about, in place of all modules. Raises `OverlayRefused`; `UsageError` for a directory that Kbuild cannot build in
    and for a goal that it cannot make; `KbuildError` with make's message, file and line for a Kbuild file that make
    refuses or a source that is missing.
    """
    check_directory_name(directory)
    if not answer.in_directory:
        check_pattern(directory)
    if kbuild_file is None:
        check_kbuild_file(directory)
    question = DirectoryQuestion(answer, directory, environ, below, kbuild_file, tuple(coming_sources), tuple(goals))
    if cache is not None:
        known = _recall_plan(cache, question, overlay)
        if known is not None:
            return known
    from kbuildpy.kbuild.make_plan import make_plan  # gate: slow to import, not needed for a remembered plan

    began_ns = time.time_ns()
    plan = make_plan(question, overlay)
    if cache is not None and not plan.changeable:
        value = {"listing": _listing(plan, overlay), "plan": plan_to_json(plan)}
        seen = stamps(find_in(overlay, name) for name in plan.makefiles)
        remember(cache, value, seen, began_ns=began_ns, key=question.key, variables=question.variables)
    return plan


def remembered_plan(
    answer: TreeAnswer, directory: Path, *, environ: Mapping[str, str], cache: Path, goals: Sequence[str] = ()
) -> Plan | None:
    """The plan for `directory` that `ask_directory` kept in `cache`; None if `ask_directory` would run make."""
    return _recall_plan(cache, DirectoryQuestion(answer, directory, environ, goals=tuple(goals)), None)


def _recall_plan(cache: Path, question: DirectoryQuestion, overlay: Overlay | None) -> Plan | None:
    value: Any = recall(cache, key=question.key, variables=question.variables)
    try:
        plan = plan_from_json(value["plan"])
        return plan if _listing(plan, overlay) == value["listing"] else None
    except (KeyError, TypeError):
        return None


def _listing(plan: Plan, overlay: Overlay | None) -> str:
    """A digest of the names of source files and makefiles in every directory of `plan.listed`: a new `x.S` beside
    `x.c` can change the rule that make chooses."""
    names = []
    for folder in plan.listed:
        found: set[str] = set()
        for place in overlay.folders(folder) if overlay else [folder]:
            with suppress(OSError), os.scandir(place) as items:
                found.update(item.name for item in items if _SOURCE_NAME.search(item.name))
        names.append(sorted(found))
    return digest(plan.listed, names)

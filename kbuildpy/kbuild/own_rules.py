# SPDX-License-Identifier: GPL-2.0-only
"""Lets make carry out the Kbuild file's own rules: generated sources, host programs, `always-y`.

Such rules write beside the sources, and only make can carry them out (`mk/generate.mk`). They run below an overlay of
the module directory; where the system refuses one, in a copy of it (`source_copy`). `evaluation` chooses.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.make_output import MAKEFILES, make_failed
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.overlay import Overlay
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.rules import NATIVE_RULES
from kbuildpy.kbuild.source_copy import copy_sources
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.run import how_it_failed, run


class MakeKilledError(KbuildError):
    """A signal ended make itself: its last targets may be incomplete."""


def make_sources(
    answer: TreeAnswer, plan: Plan, out: Path, *, environ: Mapping[str, str], jobs: int
) -> tuple[Path, str]:
    """Update the copy in `out` of the directory that `plan` is for, and let make carry out the Kbuild file's own rules
    there, in up to `jobs` processes. Returns the path of the copy, and what make printed.

    Raises `KbuildError` with make's message when a rule fails, `MakeKilledError` when a signal ends make.
    """
    state = out / ".kbuildpy"
    marker = state / "making"
    if marker.exists():
        # A killed make leaves incomplete files that make would take for finished ones.
        shutil.rmtree(state / "sources", ignore_errors=True)
        (state / "sources.json").unlink(missing_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    marker.touch()
    copy = copy_sources(Path(plan.directory), out)
    try:
        printed = run_own_rules(answer, plan, copy, environ=environ, jobs=jobs)
    except MakeKilledError:
        raise
    except KbuildError:
        marker.unlink()
        raise
    marker.unlink()
    return copy, printed


def run_own_rules(
    answer: TreeAnswer,
    plan: Plan,
    copy: Path,
    *,
    environ: Mapping[str, str],
    jobs: int,
    overlay: Overlay | None = None,
) -> str:
    """Let make carry out in `copy` (the directory itself, if there is an `overlay`) the own rules of the Kbuild file
    that `plan` is for. Returns make's output, with the path of the user's directory in place of that of the copy.

    Raises `KbuildError` with make's message when a rule fails (make has then removed the rule's target, because of
    Kbuild's .DELETE_ON_ERROR), `MakeKilledError`, and `OverlayRefused`.
    """
    cwd = answer.working_directory(str(copy))
    begin = entry(overlay, cwd) if overlay else None
    env = answer.environment_for(environ, str(copy))
    env |= {
        "KBUILDPY_MK": str(MAKEFILES),
        "KBUILDPY_NATIVE": " ".join(sorted(NATIVE_RULES)),
        "KBUILDPY_NEEDED": " ".join(plan.needed).replace(plan.directory, str(copy)),
    }
    if overlay is None:
        # The debug information of objects that make compiles must name the user's directory, not the copy.
        env["KBUILD_CPPFLAGS"] = f"{env.get('KBUILD_CPPFLAGS', '')} -ffile-prefix-map={copy}={plan.directory}"
    obj = "." if answer.in_directory else str(copy)
    argv = ["make", f"-j{jobs}", "-f", str(MAKEFILES / "generate.mk"), f"obj={obj}"]
    done = run([*argv, "need-builtin=", "need-modorder=1"], cwd=cwd, env=env, check=False, begin=begin)
    printed = (done.text + done.error_text).replace(str(copy), plan.directory)
    if done.returncode < 0:
        how = how_it_failed(128 - done.returncode)
        raise MakeKilledError(f"{plan.directory}: make {how} while it carried out the Kbuild file's own rules")
    if done.returncode != 0:
        raise make_failed(f"{plan.directory}: a rule of the Kbuild file failed", printed)
    return printed

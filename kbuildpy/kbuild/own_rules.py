# SPDX-License-Identifier: GPL-2.0-only
"""Lets make carry out the rules of a Kbuild file's own: generated sources, host programs, `always-y`.

Such rules write beside the sources, and only make can carry them out (`mk/generate.mk`). They run below an overlay of
the module directory; where the system allows none, in a copy of it (`source_copy`). `evaluation` chooses.
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
    """Bring the copy of the directory that `plan` is for up to date and let make carry out its own rules there; the
    copy, and what make printed.

    Raises `KbuildError` with make's message when a rule fails.
    """
    state = out / ".kbuildpy"
    marker = state / "making"
    if marker.exists():
        # A killed make leaves half-written files that look made.
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
    """Let make carry out in `copy` (which may be the directory itself, below `overlay`) the own rules of the Kbuild
    file that `plan` is for; what it printed.

    Raises `KbuildError` with make's message when one of them fails (make has then removed what it was making, as
    Kbuild's .DELETE_ON_ERROR has it), `MakeKilledError`, and `OverlayRefused`. The output names the user's
    directory.
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
        # Objects that make compiles must name the user's directory as well.
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

# SPDX-License-Identifier: GPL-2.0-only
"""Evaluates a module directory, after make has carried out the Kbuild file's own rules.

A Kbuild file may write beside the sources, while make reads it and in its own rules. So make does both below an overlay
(`overlay`); where the system refuses one, in a copy of the directory (`source_copy`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_directory import ask_directory, remembered_plan
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.namespace import OverlayRefused, leave
from kbuildpy.kbuild.overlay import Overlay
from kbuildpy.kbuild.overlay_files import forget_outdated, keep, written_files
from kbuildpy.kbuild.own_rules import MakeKilledError, make_sources, run_own_rules
from kbuildpy.kbuild.plan import ObjectPlan, Plan, plan_from_json, plan_to_json
from kbuildpy.kbuild.source_copy import copy_path, copy_sources, is_written, note_sources, remove_copy
from kbuildpy.kbuild.tree_answer import TreeAnswer


@dataclass(frozen=True)
class Evaluation:
    """The plan for a directory, once make has carried out the Kbuild file's own rules."""

    plan: Plan
    """The plan; an object that make has made already has no steps in it."""
    layout: Layout
    """Maps the plan's nominal names to files."""
    printed: str = ""
    """The output of those rules."""
    refusal: str = ""
    """Why the system refuses an overlay; "" where none was needed or one is used."""


def evaluate(
    answer: TreeAnswer,
    directory: Path,
    out: Path,
    *,
    environ: Mapping[str, str],
    jobs: int,
    goals: Sequence[str] = (),
) -> Evaluation:
    """The evaluation of `directory`, with output in `out`, after make has carried out the Kbuild file's own rules in up
    to `jobs` processes; with `goals`, for these single targets alone. Raises `KbuildError` with make's message,
    `UsageError` for a goal that Kbuild cannot make."""
    try:
        return _evaluate_in_overlay(answer, directory, out, environ=environ, jobs=jobs, goals=goals)
    except OverlayRefused as refused:
        with _errors_name(directory, copy_path(directory, out)):
            return _evaluate_copy(answer, directory, out, environ=environ, jobs=jobs, goals=goals, refusal=str(refused))


def look_at(
    answer: TreeAnswer, directory: Path, out: Path, *, environ: Mapping[str, str], goals: Sequence[str] = ()
) -> Evaluation:
    """The evaluation of `directory`, without writing to `directory` or `out`: the Kbuild file's own rules are not
    carried out; files that they made in an earlier run are used. Raises as `evaluate`."""
    place = out.resolve() / ".kbuildpy/overlay"
    cwd = answer.working_directory(str(directory))
    try:
        with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
            temporary = str(Path(scratch).resolve())
            overlay = Overlay(str(directory), temporary, temporary)
            if (place / "upper").is_dir():
                shutil.copytree(place / "upper", overlay.upper, symlinks=True, ignore=_ignore_special)
            try:
                plan = ask_directory(answer, directory, environ=environ, overlay=overlay, goals=goals)
                plan = replace(plan, custom=plan.custom or bool(written_files(overlay)))
            finally:
                leave(overlay)
        kept = Overlay(str(directory), str(place), str(out.resolve())) if plan.custom else None
        layout = Layout(str(directory), str(directory), str(out), cwd, kept)
        return Evaluation(_with_made(plan, layout), layout)
    except OverlayRefused:
        return _look_at_copy(answer, directory, out, environ=environ, goals=goals)


def _evaluate_in_overlay(
    answer: TreeAnswer, directory: Path, out: Path, *, environ: Mapping[str, str], jobs: int, goals: Sequence[str]
) -> Evaluation:
    cache = out / ".kbuildpy" / ("targets.json" if goals else "plan.json")
    real = out.resolve()
    overlay = Overlay(str(directory), str(real / ".kbuildpy/overlay"), str(real))
    forget_outdated(overlay)

    def ask() -> Plan:
        return ask_directory(answer, directory, environ=environ, cache=cache, overlay=overlay, goals=goals)

    plan = ask()
    layout = Layout(str(directory), str(directory), str(out), answer.working_directory(str(directory)))
    before = keep(overlay)
    if not plan.custom and not before:
        leave(overlay)
        return Evaluation(plan, layout)
    try:
        printed = run_own_rules(answer, plan, directory, environ=environ, jobs=jobs, overlay=overlay)
    except MakeKilledError:
        raise  # no `keep`: the next run must remove the files that the killed make wrote
    except KbuildError:
        keep(overlay)
        raise
    made = keep(overlay)
    note_sources(directory, out)
    if made != before:
        # make may have made sources, makefiles or objects that the plan depends on: ask again
        cache.unlink(missing_ok=True)
        plan = ask()
        keep(overlay)
    layout = layout._replace(overlay=overlay)
    return Evaluation(_with_made(replace(plan, custom=True), layout), layout, printed)


def _with_made(plan: Plan, layout: Layout) -> Plan:
    """`plan` without the steps of objects that make has already made because the Kbuild file's own rules read them.
    make compiled them at the path of an in-place build, so they are the same."""
    if layout.overlay is None:
        return plan
    upper = f"{layout.overlay.upper}/"
    made = {name for name in plan.needed if layout.find(layout.absolute(name)).startswith(upper)}
    objects = tuple(ObjectPlan(item.target, item.target, ()) if item.target in made else item for item in plan.objects)
    return replace(plan, objects=objects)


def _evaluate_copy(
    answer: TreeAnswer,
    directory: Path,
    out: Path,
    *,
    environ: Mapping[str, str],
    jobs: int,
    goals: Sequence[str],
    refusal: str,
) -> Evaluation:
    state = out / ".kbuildpy"
    cache = state / ("targets.json" if goals else "plan.json")
    generated = state / ("generated_targets.json" if goals else "generated.json")
    plan = remembered_plan(answer, directory, environ=environ, cache=cache, goals=goals)
    if plan is None:
        # The text of a Kbuild file does not show whether it writes while make reads it. So ask about a copy first, and
        # look for new files there.
        is_new = not copy_path(directory, out).exists()
        copy = copy_sources(directory, out)
        try:
            plan = remembered_plan(answer, copy, environ=environ, cache=generated, goals=goals)
            plan = plan or ask_directory(answer, copy, environ=environ, goals=goals)
        except KbuildError:
            if is_new:
                remove_copy(out)
            raise
        if plan.custom or is_written(directory, out):
            plan = replace(_renamed(plan, Path(plan.directory), directory), custom=True)
        else:
            # (the next build of a changeable plan asks about a copy again; a target's plan says nothing of the others')
            if not plan.changeable and (is_new or not goals):
                remove_copy(out)
            plan = ask_directory(answer, directory, environ=environ, cache=cache, goals=goals)
    if not plan.custom:
        layout = Layout(str(directory), str(directory), str(out), answer.working_directory(str(directory)))
        return Evaluation(plan, layout)
    copy, printed = make_sources(answer, plan, out, environ=environ, jobs=jobs)
    plan = ask_directory(answer, copy, environ=environ, cache=generated, goals=goals)
    plan = replace(plan, warnings=plan.warnings.replace(str(copy), str(directory)), custom=True)
    layout = Layout(str(directory), str(copy), str(out), answer.working_directory(str(copy)))
    return Evaluation(plan, layout, printed, refusal)


@contextmanager
def _errors_name(directory: Path, copy: Path) -> Iterator[None]:
    """Let errors name `directory` instead of its copy."""
    try:
        yield
    except KbuildError as error:
        error.message = error.message.replace(str(copy), str(directory))
        error.hint = error.hint.replace(str(copy), str(directory))
        raise


def _look_at_copy(
    answer: TreeAnswer, directory: Path, out: Path, *, environ: Mapping[str, str], goals: Sequence[str]
) -> Evaluation:
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        place = Path(scratch).resolve()
        known = copy_path(directory, out)
        if known.is_dir() and (out / ".kbuildpy/sources.json").is_file():
            shutil.copytree(known, copy_path(directory, place), symlinks=True, ignore=_ignore_special)
            shutil.copy2(out / ".kbuildpy/sources.json", place / ".kbuildpy/sources.json")
        plan = ask_directory(answer, copy_sources(directory, place), environ=environ, goals=goals)
        plan = replace(plan, custom=plan.custom or is_written(directory, place))
    evaluated = known if plan.custom and known.is_dir() else directory
    layout = Layout(str(directory), str(evaluated), str(out), answer.working_directory(str(evaluated)))
    return Evaluation(_renamed(plan, Path(plan.directory), evaluated), layout)


def _renamed(plan: Plan, asked: Path, directory: Path) -> Plan:
    """`plan` with the path `asked` of the directory replaced by `directory`, which has the same contents."""
    text = json.dumps(plan_to_json(plan), ensure_ascii=False)
    return plan_from_json(json.loads(text.replace(str(asked), str(directory))))


def _ignore_special(folder: str, names: list[str]) -> list[str]:
    """Those of `names` that cannot be copied: an overlay's marks of removed files (whiteouts), pipes."""
    return [name for name in names if not (path := Path(folder, name)).is_symlink() and _is_special(path)]


def _is_special(path: Path) -> bool:
    return not path.is_file() and not path.is_dir()

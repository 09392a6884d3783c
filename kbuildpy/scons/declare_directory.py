# SPDX-License-Identifier: GPL-2.0-only
"""Declares every module of a directory's Kbuild file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.evaluation import Evaluation, evaluate, look_at
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.overlay_files import make_removable
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.source_copy import changed_sources
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.say import complain, say
from kbuildpy.scons.add_modules import add_modules
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.find_group import find_group
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.group import Group, Question
from kbuildpy.scons.object_nodes import declare_unmade
from kbuildpy.scons.options import is_dry_run, job_count
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.unread import warn_of_unread
from kbuildpy.scons.variables import KNOWN_NAMES


def declare_directory(
    env: Any,
    directory: Path,
    out: Path,
    *,
    variables: Mapping[str, Any],
    label: str = "",
    on_empty: Callable[[KbuildError], None] | None = None,
) -> Group:
    """The group of every module of the Kbuild file in `directory`, with output in `out`; where there is no module,
    `on_empty` is called with the reasons (default: they are printed).

    Raises `KbuildError`.
    """
    project = find_project(env, variables)
    group = find_group(session_of(env), project, str(directory), str(out), label=label)
    plan, layout = _evaluate(env, project, directory, out, label=label)
    _warn(env, project, plan, variables)
    if not plan.modules:
        empty = _explain_empty(project, directory, plan)
        if on_empty is not None:
            on_empty(empty)
        else:
            complain("\n  ".join([f"kbuildpy: {empty.message}", *empty.hint.split("\n")]), whose=label.rstrip("/"))
    if plan.custom and project.read_only:
        declare_unmade(group, plan, layout, changed=changed_sources(directory, out))
    add_modules(group, plan, layout)

    def ask(goals: Sequence[str]) -> tuple[Plan, Layout]:
        return _ask_for_goals(env, group, directory, goals, variables=variables)

    def evaluate_for(answer: TreeAnswer, place: Path) -> Evaluation:
        return evaluate(answer, directory, place, environ=project.environ, jobs=job_count(env))

    group.questions.append(Question(ask, None, plan, evaluate_for))
    return group


def begin_targets(env: Any, directory: Path, out: Path, *, variables: Mapping[str, Any], label: str = "") -> Group:
    """The group of `directory` without its modules, to which single targets are added (`declare_targets`). A source or
    a module that is broken is in the way of no other then."""
    project = find_project(env, variables)
    group = find_group(session_of(env), project, str(directory), str(out), label=label)
    group.unfinished.leave_unknown()
    group.questions.append(Question(lambda goals: _ask_for_goals(env, group, directory, goals, variables=variables)))
    return group


def _ask_for_goals(
    env: Any, group: Group, directory: Path, goals: Sequence[str], *, variables: Mapping[str, Any]
) -> tuple[Plan, Layout]:
    """The plan for single targets of the directory of `group`."""
    project, out = group.project, Path(group.out)
    plan, layout = _evaluate(env, project, directory, out, label=group.label, goals=goals)
    _warn(env, project, plan, variables)
    if plan.custom and project.read_only:
        whole = replace(plan, objects=plan.objects + plan.singles)
        declare_unmade(group, whole, layout, changed=changed_sources(directory, out))
    return plan, layout


def _warn(env: Any, project: KernelProject, plan: Plan, variables: Mapping[str, Any]) -> None:
    if session_of(env).unread_arguments or not KNOWN_NAMES.issuperset(variables):
        warn_of_unread(session_of(env), project, plan, variables)


def _explain_empty(project: KernelProject, directory: Path, plan: Plan) -> KbuildError:
    from kbuildpy.scaffold.no_modules import no_modules  # (slow, and next to never needed)

    given, config = dict(project.answer.variables), project.tree.config

    def value_of(symbol: str) -> str:
        return given.get(symbol, config.get(symbol) or project.environ.get(symbol, ""))

    return no_modules(
        directory, plan.makefiles, release=project.tree.release, value_of=value_of, command="kbuildpy build"
    )


def _evaluate(
    env: Any, project: KernelProject, directory: Path, out: Path, *, label: str = "", goals: Sequence[str] = ()
) -> tuple[Plan, Layout]:
    if project.read_only:
        found = look_at(project.answer, directory, out, environ=project.environ, goals=goals)
        if found.layout.overlay and not is_dry_run(env):
            make_removable(found.layout.overlay)
    else:
        jobs = job_count(env)
        found = evaluate(project.answer, directory, out, environ=project.environ, jobs=jobs, goals=goals)
    if found.refusal:
        session_of(env).complain_once(
            f"kbuildpy: no overlay over {directory} on this system ({found.refusal}): the Kbuild file's "
            "own rules run in a copy of the directory, and files that they write may contain the copy's "
            "path"
        )
    if found.printed.strip():
        say(found.printed.rstrip())
    if found.plan.warnings.strip():
        complain(found.plan.warnings.rstrip(), whose=label.rstrip("/"))
    return found.plan, found.layout

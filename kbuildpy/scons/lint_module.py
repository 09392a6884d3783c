# SPDX-License-Identifier: GPL-2.0-only
"""`env.LintModule()`: checkers over the sources of modules, by the alias `lint`.

The target is a SARIF file. It is made each time that it is asked for: comments decide what checkers find, and a change
of comments changes no module. The modules are built before, and with them the sources that the build makes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.namespace import leave
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import modules_of_call, stop_on_error
from kbuildpy.scons.cleaning import clean_with, sources_unless_cleaning
from kbuildpy.scons.group import Group
from kbuildpy.scons.help import describe_alias
from kbuildpy.scons.keywords import file_nodes, flag, key_path, texts
from kbuildpy.scons.options import is_silent, job_count

if TYPE_CHECKING:
    from kbuildpy.lint.choose import CheckerWish
    from kbuildpy.lint.lint_objects import LintSettings
    from kbuildpy.lint.subjects import LintSubject

_FILE = "lint.sarif"


def lint_module(
    env: Any,
    modules: Any = None,
    *,
    checkers: str | Sequence[str] = (),
    sarif: Any = None,
    fail_on: str = "",
    baseline: Any = None,
    kernel_headers: bool = False,
    scripts: Any = None,
    cocci: Any = (),
    source: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare that checkers look at the sources of `modules` (nodes that KernelModule and Kbuild return); the node of
    the SARIF file with their findings, which the alias `lint` makes: `sarif`, by default `lint.sarif` beside the first
    module.

    `checkers` are those of `kbuildpy lint --checker`. A finding of the level `fail_on` ("error", "warning", "note"), or
    worse, fails the build. Findings that the SARIF file `baseline` has are left out, and those in kernel headers
    unless `kernel_headers`. `scripts` is the folder scripts/ of kernel sources, for checkpatch and coccinelle, `cocci`
    are semantic patches in place of theirs.
    """

    def declare() -> list[Any]:
        from kbuildpy.lint.choose import read_wishes  # (not for each run that declares modules)
        from kbuildpy.lint.finding import LEVELS

        call = "LintModule"
        nodes = modules_of_call(
            env, call, lint_module, modules, source, variables, example="LintModule(ko)", verb="lint"
        )
        if fail_on and fail_on not in LEVELS:
            raise UsageError(f"{call}: fail_on={fail_on!r} is no level", hint=f"levels are {', '.join(LEVELS)}")
        groups = _groups(env, call, nodes)
        settings = {
            "kernel_headers": flag(call, "kernel_headers", kernel_headers),
            "baseline": key_path(env, call, "baseline", baseline),
            "scripts": key_path(env, call, "scripts", scripts),
            "cocci": [str(node.srcnode().get_abspath()) for node in file_nodes(env, f"{call}: cocci", cocci)],
        }
        wishes = read_wishes(texts(call, "checkers", checkers))
        [target] = [env.File(sarif)] if sarif else [nodes[0].dir.File(_FILE)]
        action = _action(env, groups, wishes, settings, fail_on, Path(target.get_abspath()))
        bind(env, [target], sources_unless_cleaning(env, nodes), action)
        target.set_always_build(True)
        target.set_nocache()
        # By default, SCons builds all targets in a directory.
        env.Ignore(target.dir, target)
        for node in nodes:
            clean_with(env, node, target)
        env.Alias("lint", target)
        describe_alias(env, "lint")
        return [target]

    return stop_on_error(declare)


def _groups(env: Any, call: str, nodes: Sequence[Any]) -> dict[Group, list[Any]]:
    """The modules by the group that builds them."""
    session = session_of(env)
    groups: dict[Group, list[Any]] = {}
    for node in nodes:
        group = session.group_of(getattr(node.attributes, "kbuildpy_built", node.get_abspath()))
        if group is None or not any(node in made for _, _, made in group.plans):
            raise UsageError(
                f"{call}: {node} is not a module that is built here",
                hint="give it what KernelModule() or Kbuild() returned; for other sources there is kbuildpy lint",
            )
        groups.setdefault(group, []).append(node)
    return groups


def _action(
    env: Any,
    groups: Mapping[Group, Sequence[Any]],
    wishes: Sequence[CheckerWish],
    given: Mapping[str, Any],
    fail_on: str,
    file: Path,
) -> KbuildAction:
    def lint(_: list[Any], __: list[Any]) -> None:
        from kbuildpy.lint.lint_objects import lint_objects
        from kbuildpy.lint.printer import LintPrinter, plainly

        settings = _settings(env, wishes, given)
        releases = {group.project.tree.release for group in groups}
        printer = LintPrinter("text", quiet=is_silent(env), several=len(releases) > 1, show=plainly)
        for group, nodes in groups.items():
            with _subjects(group, nodes) as (subjects, scratch):
                lint_objects(subjects, group.project.tree, group.directory, settings, printer, scratch=scratch)
        file.parent.mkdir(parents=True, exist_ok=True)
        printer.end(file)
        if printer.failed or (fail_on and printer.has_found(fail_on)):
            raise KbuildError(f"lint: {printer.counts()}", hint=f"the findings are in {file}")

    return KbuildAction(lint, title=f"  LINT    {file.name}", signature="")


def _settings(env: Any, wishes: Sequence[CheckerWish], given: Mapping[str, Any]) -> LintSettings:
    from kbuildpy.lint.choose import KernelScripts
    from kbuildpy.lint.lint_objects import LintSettings
    from kbuildpy.lint.sarif import read_baseline

    return LintSettings(
        wishes,
        KernelScripts(Path(given["scripts"]) if given["scripts"] else None, tuple(map(Path, given["cocci"]))),
        read_baseline(Path(given["baseline"])) if given["baseline"] else frozenset(),
        given["kernel_headers"],
        job_count(env),
    )


@contextmanager
def _subjects(group: Group, nodes: Sequence[Any]) -> Iterator[tuple[list[LintSubject], str]]:
    """The objects of the modules `nodes` of `group`, as long as the context lasts, and a folder for files that are
    thrown away."""
    from kbuildpy.lint.subjects import ASKED_WITH, lint_subjects

    project = group.project
    variables = {**dict(project.answer.variables), **ASKED_WITH}
    answer = ask_tree(project.tree, variables=variables, environ=project.environ)
    subjects: list[LintSubject] = []
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch, ExitStack() as stack:
        for number, (plan, layout, made) in enumerate(group.plans):
            wanted = [module for module, node in zip(plan.modules, made, strict=True) if node in nodes]
            names = {layout.relative(name) for module in wanted for name in module.objects}
            ask = next((each.evaluate for each in group.questions if each.plan == plan), None)
            if names and ask is not None:
                evaluation = ask(answer, Path(scratch).resolve() / str(number))
                if evaluation.layout.overlay:
                    stack.callback(leave, evaluation.layout.overlay)
                found = lint_subjects(evaluation, answer, project.environ)
                subjects += [subject for subject in found if subject.name in names]
        yield subjects, scratch

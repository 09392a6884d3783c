# SPDX-License-Identifier: GPL-2.0-only
"""Where each flag of an object's compile command comes from.

make is asked once more, with copies of its makefiles that write down what they assign (`trace_makefiles`), first about
the tree and then about the directory; `flag_origins` follows the words of the command through what they wrote. The
words that this gives are compared with the command that a build runs: where they differ, the origins are unknown.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.make_plan import make_plan
from kbuildpy.kbuild.make_tree_answer import run_tree_make
from kbuildpy.kbuild.namespace import OverlayRefused, leave
from kbuildpy.kbuild.overlay import Overlay
from kbuildpy.kbuild.plan import ObjectPlan, Plan
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.origins.command_options import first_command, options
from kbuildpy.origins.final_words import FinalWords, Word, wanted_from
from kbuildpy.origins.flag_origins import Follower
from kbuildpy.origins.origin import UNKNOWN, Origin
from kbuildpy.origins.trace_log import MakeRun, read_trace
from kbuildpy.origins.trace_makefiles import TracedMakefiles, read_answers, trace_makefiles, with_questions

_ROUNDS = 8
"""How often make is asked at most: a name that has to be expanded is known to have a value only in the next round."""


@dataclass(frozen=True)
class Flag:
    """An option of a command."""

    text: str
    """The option as the shell text has it, with its value: `-include FILE`."""
    origin: Origin
    """Where it comes from."""


@dataclass(frozen=True)
class ExplainedObject:
    """An object, and the origins of the flags that it is compiled with."""

    target: str
    """The object as Kbuild names it."""
    source: str
    """Its source."""
    flags: tuple[Flag, ...]
    """The options of its compile command, in their order."""


def explain_objects(question: DirectoryQuestion, plan: Plan, targets: Sequence[str]) -> list[ExplainedObject]:
    """The origins of the flags of `targets`, objects of `plan`, which answers `question`.

    Raises `KbuildError` where make fails, for an object that no command of Kbuild's compiles, and where the system
    allows no overlay over a directory whose Kbuild file writes into it.
    """
    by_target = {item.target: item for item in plan.objects}
    items = [by_target[target] for target in targets]
    for item in items:
        if not item.steps or not item.steps[0].rule.startswith(("cc_o_", "as_o_", "rustc_o_")):
            raise KbuildError(f"{item.target}: no command of Kbuild's compiles it", hint="it came with the sources")
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        place = Path(scratch).resolve()
        answer = question.answer
        makefiles = [*_tree_makefiles(answer), *plan.makefiles]
        traced = trace_makefiles(makefiles, place / "traced", source=answer.tree.source)
        tree_run = _trace_tree(answer, traced, plan.directory, environ=question.environ)
        return _explain(question, items, traced, tree_run, custom=plan.custom)


def _trace_tree(
    answer: TreeAnswer, traced: TracedMakefiles, directory: str, *, environ: Mapping[str, str]
) -> MakeRun | None:
    output = run_tree_make(answer.tree, answer.variables, environ, makefiles=traced.ours)
    text = _read(traced.records).replace(output.placeholder, directory)
    runs = read_trace(text, traced.assignments)
    return runs[-1] if runs else None


def _tree_makefiles(answer: TreeAnswer) -> Iterator[str]:
    for name in answer.makefiles:
        path = os.path.normpath(name)
        if "/include/config/" not in path:
            yield path
    for part in (answer.tree.source, answer.tree.objects):
        yield from (str(path) for path in sorted((part / "scripts").glob("Makefile*")) if path.is_file())
        yield str(part / "scripts/Kbuild.include")


def _explain(
    question: DirectoryQuestion,
    items: Sequence[ObjectPlan],
    traced: TracedMakefiles,
    tree_run: MakeRun | None,
    *,
    custom: bool,
) -> list[ExplainedObject]:
    answer = question.answer
    cwd = answer.working_directory(str(question.directory))
    asked: dict[str, None] = {f"$(cmd_{item.steps[0].rule})": None for item in items}
    found: dict[str, list[Word]] = {}
    targets = [item.target for item in items]
    for _ in range(_ROUNDS):
        traced = with_questions(traced, asked, targets)
        _run(question, traced, custom=custom)
        runs = read_trace(_read(traced.records), traced.assignments, parent=tree_run)
        answers = read_answers(_read(traced.answers), list(asked))
        known = len(asked)
        for item in items:
            run = _run_of(item.target, runs, cwd)
            if run is not None:
                final = FinalWords(dict(answer.variables), question.environ, answer.tree.config)
                follower = Follower(run, answers.get(item.target, {}), final)
                followed = follower.words(f"cmd_{item.steps[0].rule}")
                found[item.target] = [(word, follower.with_includes(origin)) for word, origin in followed]
                asked.update(follower.asked)
        if len(asked) == known:
            break
    return [_explained(item, found.get(item.target, [])) for item in items]


def _explained(item: ObjectPlan, found: list[Word]) -> ExplainedObject:
    words = first_command(item.steps[0].command)
    found = found[: len(words)]
    if [word for word, _ in found] != words:
        found = wanted_from(words, [], otherwise=UNKNOWN)
    return ExplainedObject(item.target, item.source, tuple(_flags(found)))


def _run(question: DirectoryQuestion, traced: TracedMakefiles, *, custom: bool) -> None:
    """Ask about the directory. What the Kbuild file writes while it is read is forgotten. Where the system refuses an
    overlay, one that is known to write nothing (`custom` is false) is read without."""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        place = str(Path(scratch).resolve())
        overlay = Overlay(str(question.directory), place, place)
        try:
            _run_in(overlay, question, traced)
        except OverlayRefused as refused:
            if custom:
                raise KbuildError(
                    f"{question.directory}: the system allows no overlay over this directory: {refused}",
                    hint="its Kbuild file writes among the sources while it is read; run this where the system allows "
                    "mount namespaces",
                ) from refused
            make_plan(question, None, makefiles=traced.ours)


def _run_in(overlay: Overlay, question: DirectoryQuestion, traced: TracedMakefiles) -> None:
    try:
        make_plan(question, overlay, makefiles=traced.ours)
    finally:
        leave(overlay)


def _read(path: Path) -> str:
    return path.read_text(errors="surrogateescape") if path.exists() else ""


def _run_of(target: str, runs: Sequence[MakeRun], cwd: str) -> MakeRun | None:
    """The run of make that has the recipe of `target`: that of the innermost directory."""
    folders = {id(run): f"{os.path.normpath(Path(cwd, run.directory or '.'))}/" for run in runs}
    path = os.path.normpath(Path(cwd, target))
    around = [run for run in runs if path.startswith(folders[id(run)])]
    return max(around, key=lambda run: len(folders[id(run)]), default=None)


def _flags(found: Sequence[Word]) -> Iterator[Flag]:
    for text, place in options([word for word, _ in found]):
        yield Flag(text, found[place][1])

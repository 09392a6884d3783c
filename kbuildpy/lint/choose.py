# SPDX-License-Identifier: GPL-2.0-only
"""Which checkers run, with which programs and scripts: the words of `--checker`, and what this machine has."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.checkers import CHECKERS, USUAL
from kbuildpy.lint.kernel_scripts import kernel_script
from kbuildpy.lint.source_checker import LintTools, SourceChecker, of_c, program_words
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.similar import did_you_mean

ALL = "all"


class CheckerWish(NamedTuple):
    """A checker that the caller wants."""

    checker: SourceChecker
    """The checker."""
    program: tuple[str, ...] = ()
    """The words for its program, if they are given."""
    needed: bool = True
    """It is an error if it cannot run here; else it is left out."""


class KernelScripts(NamedTuple):
    """Where the caller says that the kernel's scripts are."""

    folder: Path | None = None
    """The folder `scripts/` of kernel sources."""
    semantic_patches: tuple[Path, ...] = ()
    """Semantic patches, or folders of them, in place of all of `scripts/coccinelle`."""


class ChosenCheckers(NamedTuple):
    """The checkers that run."""

    chosen: list[tuple[SourceChecker, LintTools]]
    """Each with what it works with."""
    left_out: list[str]
    """What does not run, and why, a line each."""


def read_wishes(words: Sequence[str]) -> list[CheckerWish]:
    """The checkers that `words` (`NAME`, `NAME=PROGRAM` or `all`) name, in the order in which they run; without words
    the usual ones. Raises `UsageError`."""
    wishes: dict[str, CheckerWish] = {} if words else _optional(USUAL)
    for word in words:
        name, is_given, program = word.partition("=")
        if name == ALL and not is_given:
            wishes = {**_optional(CHECKERS), **wishes}
            continue
        if name not in CHECKERS:
            hint = did_you_mean(name, CHECKERS) or f"checkers are {', '.join(CHECKERS)}, {ALL}"
            raise UsageError(f"--checker {word}: no such checker", hint=hint)
        wishes[name] = CheckerWish(CHECKERS[name], _program(word, program) if is_given else ())
        if is_given and not CHECKERS[name].program:
            raise UsageError(f"--checker {word}: {name} is the kernel's own compiler", hint="CC=PROGRAM names another")
    return [wishes[name] for name in CHECKERS if name in wishes]


def _optional(names: Sequence[str] | dict[str, SourceChecker]) -> dict[str, CheckerWish]:
    return {name: CheckerWish(CHECKERS[name], needed=False) for name in names}


def _program(word: str, program: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(program))
    except ValueError as error:
        raise UsageError(f"--checker {word}: {error}") from error
    if not words:
        raise UsageError(f"--checker {word}: an empty program")
    return words


def choose_checkers(
    wishes: Sequence[CheckerWish],
    subjects: Sequence[LintSubject],
    tree: KernelTree,
    *,
    scratch: str,
    scripts: KernelScripts,
) -> ChosenCheckers:
    """The checkers of `wishes` that can look at `subjects`, objects for `tree`, which are at least one.

    Raises `KbuildError` for one that is needed and cannot.
    """
    found: list[tuple[SourceChecker, LintTools]] = []
    left_out: list[str] = []
    subject = next(of_c(subjects), subjects[0])
    for wish in wishes:
        try:
            tools = _tools(wish, subject, tree, scratch, scripts)
        except KbuildError as error:
            if wish.needed:
                raise
            hint = f" ({error.hint})" if error.hint else ""
            left_out.append(f"{wish.checker.name} is left out: {error.message}{hint}")
        else:
            found.append((wish.checker, tools))
            left_out += _missing_parts(wish.checker, tools, subject)
    if not found:
        raise KbuildError("no checker can run here", hint="\n".join(left_out))
    return ChosenCheckers(found, left_out)


def _tools(
    wish: CheckerWish, subject: LintSubject, tree: KernelTree, scratch: str, scripts: KernelScripts
) -> LintTools:
    checker = wish.checker
    unfit = checker.unfit(subject)
    if unfit:
        raise KbuildError(f"{checker.name} cannot check for {tree.release}: {unfit}")
    words = program_words(checker, wish.program, subject.env)
    chosen = scripts.semantic_patches if checker.name == "coccinelle" else ()
    script = kernel_script(checker.script, tree, scripts.folder) if checker.script and not chosen else None
    return LintTools(words, scratch, script, chosen)


def _missing_parts(checker: SourceChecker, tools: LintTools, subject: LintSubject) -> Iterator[str]:
    for line in checker.left_out(tools, subject.env):
        yield f"{checker.name}: {line}"

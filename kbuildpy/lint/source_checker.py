# SPDX-License-Identifier: GPL-2.0-only
"""What a checker is: how its commands are made from objects, and how what they print is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.lint.finding import Finding
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.program_packages import install_hint


@dataclass(frozen=True)
class LintTools:
    """What a checker works with."""

    program: tuple[str, ...]
    """The words that start its program; none for the kernel's compiler."""
    scratch: str
    """A folder for files that are thrown away."""
    script: Path | None = None
    """The script, or the folder of scripts, of the kernel's sources that it runs."""
    chosen: tuple[Path, ...] = ()
    """Scripts of the caller's choice, in place of those of that folder."""


class CheckRun(NamedTuple):
    """One start of a checker's program."""

    argv: tuple[str, ...]
    """The words."""
    about: LintSubject
    """The object that it is about, or the first of them: it says where and in what environment the program runs."""
    shown: str
    """What it is about, for messages."""
    rule: str = ""
    """The rule that all of its findings have, where the program is told to look for one thing."""
    cwd: str = ""
    """Where it runs, if not where Kbuild's commands do."""
    fails_for: str = "error"
    """The least level of a finding for which the program ends with another status than 0; "" if it does for none."""


Runs = Callable[[Sequence[LintSubject], LintTools], Iterable[CheckRun]]
Read = Callable[[str, CheckRun], list[Finding]]


@dataclass(frozen=True)
class SourceChecker:
    """A checker."""

    name: str
    """What `--checker` calls it."""
    summary: str
    """What it looks for, in a few words."""
    program: str
    """Its program; "" for the kernel's compiler."""
    runs: Runs = field(repr=False)
    """The programs to start for some objects."""
    read: Read = field(repr=False)
    """The findings in what one of them printed."""
    script: str = ""
    """The script, or the folder of scripts, below `scripts/` of the kernel's sources that it runs."""
    left_out: Callable[[LintTools, Mapping[str, str]], list[str]] = field(default=lambda *_: [], repr=False)
    """What of its scripts cannot be run on this machine, and why, for an environment."""
    unfit: Callable[[LintSubject], str] = field(default=lambda _: "", repr=False)
    """Why it cannot look at an object of this kernel; "" if it can."""


def program_words(checker: SourceChecker, given: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """The words that start the program of `checker`, `given` or its own. Raises `KbuildError` for one that is not
    there, with what to do about it."""
    words = tuple(given) or ((checker.program,) if checker.program else ())
    if words and "/" in words[0]:
        # (it is started elsewhere)
        words = (os.path.abspath(words[0]), *words[1:])  # noqa: PTH100 - a link stays one: smatch looks beside itself
    if not words or shutil.which(words[0], path=env.get("PATH")):
        return words
    if "/" in words[0]:
        what = "not a program" if Path(words[0]).exists() else "no such file"
        raise KbuildError(f"{words[0]}: {what}", hint=f"--checker {checker.name}=PROGRAM names the program")
    whose = "" if words[0] == checker.name else f", which the checker {checker.name} runs"
    raise KbuildError(f"{words[0]}: program not found{whose}", hint=install_hint(words[0]))


def no_check_command(subject: LintSubject) -> str:
    """Why an object made from C cannot be given to what Kbuild starts as CHECK; "" if it can."""
    lacks = subject.clang is not None and not subject.checker
    return "its makefiles have no command for C=1" if lacks else ""


def of_c(subjects: Sequence[LintSubject]) -> Iterator[LintSubject]:
    """Those of `subjects` that are made from C."""
    return (subject for subject in subjects if subject.clang is not None)

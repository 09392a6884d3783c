# SPDX-License-Identifier: GPL-2.0-only
"""The objects of a module directory as checkers see them: with the words of the commands that Kbuild has for them.

The tree is asked as for `make C=1`, with a word of ours in the place of sparse. So each checker that Kbuild could run
as CHECK gets Kbuild's own words (CHECKFLAGS, CF and the compiler's flags), and the others the compiler's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.command import split_command
from kbuildpy.kbuild.compile_commands import CompileCommand, compile_command, has_compile_command
from kbuildpy.kbuild.evaluation import Evaluation
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.plan import ObjectPlan
from kbuildpy.kbuild.tree_answer import TreeAnswer

_PROGRAM = "kbuildpy-checker"
ASKED_WITH = {"KBUILD_CHECKSRC": "1", "CHECK": _PROGRAM}
"""The make variables that a tree is asked with for the subjects of checkers. KBUILD_CHECKSRC is what C becomes; since
7.0 C has no effect where a script of the kernel's sources, which headers packages lack, does not accept the program."""


@dataclass(frozen=True)
class LintSubject:
    """An object that is made from a source."""

    name: str
    """The object below the module directory."""
    directory: str
    """The module directory."""
    source: str
    """Its source, as the commands find it (absolute)."""
    cwd: str
    """Where the commands run."""
    compiler: tuple[str, ...]
    """The words of the command that compiles it."""
    checker: tuple[str, ...] = ()
    """The words behind the program, of the command of `C=1`; none for assembly."""
    documented: tuple[str, ...] = ()
    """The shell texts that look at its comments (kernel-doc, under W=)."""
    clang: CompileCommand | None = None
    """The same compilation for clang's tools, with the real names of files; None for assembly."""
    is_clang: bool = False
    """The compiler is clang."""
    tab_width: int = 1
    """How far a tab counts in the columns that the compiler names: GCC's display columns, since version 11."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The environment that Kbuild gives commands, with messages in English."""
    begin: Callable[[str], Callable[[], None] | None] = field(default=lambda _: None, repr=False, compare=False)
    """Gives the function that a new process calls before it becomes a program that runs in that folder."""
    renames: tuple[str, str] | None = None
    """A path, and what it stands for, in what programs print."""

    def compiling(self, *options: str, output: str) -> tuple[str, ...]:
        """The words of a command that compiles the source with `options` to `output` and writes nothing else; an
        option among them that says how far (`-S`) takes the place of `-c`."""
        words = [word for word in self.compiler if not word.startswith(("-Wp,-MMD", "-Wp,-MD"))]
        at = words.index("-o")
        goal = [] if "-S" in options else ["-c"]
        rest = [word for word in (*words[:at], *words[at + 2 : -1]) if word != "-c"]
        return (*rest, *options, *goal, "-o", output, words[-1])


def lint_subjects(evaluation: Evaluation, answer: TreeAnswer, environ: Mapping[str, str]) -> list[LintSubject]:
    """The objects of a plan, which was asked for with `ASKED_WITH`, that a command of Kbuild's makes from a source.

    Raises `KbuildError` for one whose command needs a shell.
    """
    return list(_subjects(evaluation, answer, environ))


def _subjects(evaluation: Evaluation, answer: TreeAnswer, environ: Mapping[str, str]) -> Iterator[LintSubject]:
    layout = evaluation.layout
    env = {**answer.environment_for(environ, layout.evaluated), "LC_ALL": "C"}

    def begin(cwd: str) -> Callable[[], None] | None:
        return entry(layout.overlay, cwd) if layout.overlay else None

    for item in evaluation.plan.objects:
        if not item.steps or item.steps[0].rule not in ("cc_o_c", "as_o_S"):
            continue
        compiler = _words(item, item.steps[0].command)
        checks = [step.command for step in item.steps if step.rule in ("checksrc", "force_checksrc")]
        yield LintSubject(
            layout.relative(item.target),
            layout.evaluated,
            layout.absolute(item.source),
            layout.cwd,
            compiler,
            checker=_words(item, checks[0])[1:] if checks else (),
            documented=tuple(step.command for step in item.steps if step.rule == "checkdoc"),
            clang=compile_command(item, layout, answer) if has_compile_command(item) else None,
            is_clang="clang" in answer.compiler,
            tab_width=_tab_width(answer.compiler),
            env=env,
            begin=begin,
            renames=layout.renames,
        )


def _words(item: ObjectPlan, command: str) -> tuple[str, ...]:
    commands = split_command(command)
    if not commands:
        raise KbuildError(
            f"{item.source}: its command cannot be given to checkers, because it needs a shell",
            hint="give KCFLAGS, CFLAGS_x.o and the like without $ and ` (see the command with V=1)",
        )
    return tuple(commands[0])


def _tab_width(compiler: str) -> int:
    """By the compiler's version text, `gcc-12 (Debian 12.2.0-14) 12.2.0`."""
    version = re.search(r" (\d+)\.\d+\.\d+", compiler)
    return 8 if "clang" not in compiler and version and int(version[1]) >= 11 else 1

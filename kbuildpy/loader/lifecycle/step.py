# SPDX-License-Identifier: GPL-2.0-only
"""A step of a script of insmod, rmmod and others: the result of a command, and how loading and unloading change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.errnos import errno_name, errno_words
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.unload import delete_module
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.stages.taints import letters
from kbuildpy.loader.verdict import Verdict
from kbuildpy.printable import printable

Load = Callable[[bytes, LoaderKernel, Modules, str, str], tuple[Verdict, Modules]]
"""Takes a module's contents, the kernel, the modules loaded before, parameters and the file's name."""


def load_one(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """`load_module()` with no modules loaded but the script's."""
    return load_module(contents, kernel, modules, args, file=file, on_demand=False)


class Command(NamedTuple):
    """A line of a script: its number, its text, and its words without quotes."""

    line: int
    text: str
    words: list[str]


@dataclass(frozen=True)
class ScriptStep:
    """The result of a command."""

    command: Command
    """The command."""
    modules: Modules
    """The modules that are loaded afterwards."""
    kernel: LoaderKernel
    """The kernel afterwards, with its taints."""
    errno: str | None = None
    """The name of the errno of a refusal; None where the command succeeded or was not carried out."""
    reason: str | None = None
    """Why it failed; None where it succeeded. Without an errno: it was not carried out, or the result is undefined (the
    last verdict tells)."""
    lines: tuple[str, ...] = ()
    """What the kernel logs."""
    output: tuple[str, ...] = ()
    """What the command prints."""
    verdicts: tuple[Verdict, ...] = ()
    """The verdicts on the modules that were to be loaded."""

    @property
    def done(self) -> bool:
        """Whether the command succeeded."""
        return self.errno is None and self.reason is None

    def to_json(self) -> dict[str, object]:
        """The step as a line of `--format json`."""
        return {
            "line": self.command.line,
            "command": self.command.text,
            "done": self.done,
            "errno": self.errno,
            "reason": self.reason,
            "log": list(self.lines),
            "output": list(self.output),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }


def as_text(step: ScriptStep) -> str:
    """The step in words: the command with its answer, then its output, the log, and the reason."""
    answer = "done"
    if step.errno is not None:
        answer = f"refused with {errno_words(step.errno)}"
    elif step.reason is not None:
        undefined = bool(step.verdicts) and not step.verdicts[-1].accepted
        answer = "the result is undefined" if undefined else "not done"
    facts = [("kernel log", line) for line in step.lines]
    facts += [("because", step.reason)] if step.reason is not None else []
    if not step.done:
        facts += [("to do", verdict.hint) for verdict in step.verdicts if verdict.hint]
    facts += [("not checked", item.sentence) for verdict in step.verdicts for item in verdict.unchecked]
    described = [f"  {name:14}{printable(value)}" for name, value in facts]
    printed = [f"  {printable(line)}" for line in step.output]
    return "\n".join([f"{printable(step.command.text)}: {answer}", *printed, *described])


def unreadable(step: ScriptStep, error: KbuildError) -> ScriptStep:
    """The step that failed because a file could not be read: with the errno of reading it, if there is one."""
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    reason = "; ".join(filter(None, (error.message, error.hint)))
    return replace(step, errno=errno_name(number) if number else None, reason=reason)


def load_contents(step: ScriptStep, contents: bytes, args: str, file: str, load: Load) -> ScriptStep:
    """The step that loads a module with these contents."""
    verdict, modules = load(contents, step.kernel, step.modules, args, file)
    return replace(
        _tainted(step, verdict.taints),
        modules=modules,
        errno=verdict.errno,
        reason=None if verdict.accepted else verdict.reason,
        lines=(*step.lines, *verdict.lines),
        verdicts=(*step.verdicts, verdict),
    )


def unload(step: ScriptStep, name: str, flags: int) -> ScriptStep:
    """The step that unloads `name`. After others in the same step all reasons count, and the first errno.

    (kmod checks in /sys before it asks the kernel; the kernel makes the same checks.)
    """
    unloading = delete_module(step.modules, name, step.kernel, flags=flags)
    reasons = [reason for reason in (step.reason, unloading.reason if unloading.errno else None) if reason]
    return replace(
        _tainted(step, unloading.taints),
        modules=unloading.modules,
        errno=step.errno or unloading.errno,
        reason="; ".join(reasons) or None,
        lines=(*step.lines, *unloading.lines),
    )


def _tainted(step: ScriptStep, taints: str) -> ScriptStep:
    """The step in a kernel that remembers its taints."""
    return replace(step, kernel=replace(step.kernel, tainted=letters({*step.kernel.tainted, *taints})))

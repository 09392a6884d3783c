# SPDX-License-Identifier: GPL-2.0-only
"""The result of one command of a script (`ScriptStep`), and the steps that load or unload a module."""

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
"""A function like `load_one`. It takes the contents of a module, the kernel, the modules that are loaded, the
parameters and the name of the file."""


def load_one(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """Return the result of `load_module()` with `modules` loaded, and no other module counted as loaded on demand."""
    return load_module(contents, kernel, modules, args, file=file, on_demand=False)


class Command(NamedTuple):
    """A line of a script."""

    line: int
    """The number of the line, from 1 on."""
    text: str
    """The line without spaces at its beginning and end."""
    words: list[str]
    """The words, without quotes and comments."""


@dataclass(frozen=True)
class ScriptStep:
    """The result of a command, and the state of the kernel after it."""

    command: Command
    """The command."""
    modules: Modules
    """The modules that are loaded afterwards."""
    kernel: LoaderKernel
    """The kernel afterwards, with its taints."""
    errno: str | None = None
    """The name of the errno of a refusal; None if the command succeeded, was not run, or has an undefined result."""
    reason: str | None = None
    """Why the command failed; None if it succeeded. If there is a reason and no errno, the command was not run, or its
    result is undefined: then the last verdict is not accepted."""
    lines: tuple[str, ...] = ()
    """The lines that the kernel logs."""
    output: tuple[str, ...] = ()
    """The lines that the command prints."""
    hints: tuple[str, ...] = ()
    """What to do about modules that are not unloaded."""
    verdicts: tuple[Verdict, ...] = ()
    """The verdicts on the modules that the command loads or tries to load."""

    @property
    def done(self) -> bool:
        """Whether the command succeeded."""
        return self.errno is None and self.reason is None

    def to_json(self) -> dict[str, object]:
        """Return the object that `--format json` prints for the step."""
        return {
            "line": self.command.line,
            "command": self.command.text,
            "done": self.done,
            "errno": self.errno,
            "reason": self.reason,
            "log": list(self.lines),
            "output": list(self.output),
            "hints": list(self.hints),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }


def as_text(step: ScriptStep) -> str:
    """Return the step as text: the command and its result, then its output, the log, the reason, hints and missing
    checks."""
    answer = "done"
    if step.errno is not None:
        answer = f"refused with {errno_words(step.errno)}"
    elif step.reason is not None:
        undefined = bool(step.verdicts) and not step.verdicts[-1].accepted
        answer = "the result is undefined" if undefined else "not done"
    facts = [("kernel log", line) for line in step.lines]
    facts += [("because", step.reason)] if step.reason is not None else []
    if not step.done:
        facts += [("to do", hint) for hint in step.hints]
        facts += [("to do", verdict.hint) for verdict in step.verdicts if verdict.hint]
    facts += [("not checked", item.sentence) for verdict in step.verdicts for item in verdict.unchecked]
    described = [f"  {name:14}{printable(value)}" for name, value in facts]
    printed = [f"  {printable(line)}" for line in step.output]
    return "\n".join([f"{printable(step.command.text)}: {answer}", *printed, *described])


def unreadable(step: ScriptStep, error: KbuildError) -> ScriptStep:
    """Return `step` as failed because a file could not be read, with the errno of the `OSError` behind `error`, if
    any."""
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    reason = "; ".join(filter(None, (error.message, error.hint)))
    return replace(step, errno=errno_name(number) if number else None, reason=reason)


def load_contents(step: ScriptStep, contents: bytes, args: str, file: str, load: Load) -> ScriptStep:
    """Return the step after loading the module `contents` with parameters `args`; `file` is its name in messages."""
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
    """Return the step after unloading `name`. If a command unloads several modules, the step has all their reasons, and
    the first errno.

    kmod checks the users in /sys before it calls the kernel. Only the kernel's checks are modelled, which are the same.
    """
    unloading = delete_module(step.modules, name, step.kernel, flags=flags)
    reasons = [reason for reason in (step.reason, unloading.reason if unloading.errno else None) if reason]
    return replace(
        _tainted(step, unloading.taints),
        modules=unloading.modules,
        errno=step.errno or unloading.errno,
        reason="; ".join(reasons) or None,
        lines=(*step.lines, *unloading.lines),
        hints=(*step.hints, *([unloading.hint] if unloading.hint else [])),
    )


def _tainted(step: ScriptStep, taints: str) -> ScriptStep:
    """The step with `taints` added to those of its kernel."""
    return replace(step, kernel=replace(step.kernel, tainted=letters({*step.kernel.tainted, *taints})))

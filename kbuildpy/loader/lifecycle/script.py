"""A script of insmod, rmmod and others, run over the model of a kernel: what would come of each step?

One command a line, as in a shell, with its quotes and comments:

    insmod FILE.ko [PARAMETER ...]      modprobe NAME [PARAMETER ...]   (the kernel's own modules, and what they need)
    rmmod [-f] NAME ...                 modprobe -r NAME                (and what it alone needed)
    lsmod                               cat /proc/modules
    open NAME, close NAME               (somebody opens or closes a file of the module, and so holds it)
    insmod FILE.ko ... &, rmmod NAME &  (its init or exit function is still running when the next command is given)
    wait NAME                           (until it has returned)

No module's code is run: every init function succeeds, and takes no reference to anybody.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from os import O_TRUNC
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.errnos import errno_name, errno_words
from kbuildpy.kernel.own_modules import module_name, read_module, stated_needs
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.loaded import Modules
from kbuildpy.loader.lifecycle.procfs import lsmod, proc_modules
from kbuildpy.loader.lifecycle.unload import delete_module, module_put, try_module_get
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.stages.taints import letters
from kbuildpy.loader.verdict import Verdict

Load = Callable[[bytes, LoaderKernel, Modules, str, str], tuple[Verdict, Modules]]
"""Takes a module's contents, the kernel, the modules loaded before, parameters and the file's name."""


def load_one(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """`load_module()`, where nothing is loaded but what the script has loaded."""
    return load_module(contents, kernel, modules, args, file=file, on_demand=False)


class Command(NamedTuple):
    """A line of a script: its number, its text, and its words without quotes."""

    line: int
    text: str
    words: list[str]


@dataclass(frozen=True)
class Step:
    """What came of a command. `errno` and `reason` are None where it was done; with a reason and no errno, it was not
    done here, or what happens is undefined (the last verdict says so then). `lines` is what the kernel logs, `output`
    what the command prints; `verdicts` are those of the modules that were to be loaded, `modules` and `kernel` what
    there is afterwards."""

    command: Command
    modules: Modules
    kernel: LoaderKernel
    errno: str | None = None
    reason: str | None = None
    lines: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

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


def run_script(text: str, kernel: LoaderKernel, base_directory: Path, *, load: Load = load_one) -> Iterator[Step]:
    """Run the script `text` over `kernel`, with no module loaded; files are looked for below `base_directory`.

    A step that fails does not stop the others. Raises `KbuildError` for a script that cannot be read, before the first
    step.
    """
    return _steps(read_script(text), kernel, base_directory, load)


def as_text(step: Step) -> str:
    """The step in words: the command with its answer, then what is printed and logged, and why."""
    answer = "done"
    if step.errno is not None:
        answer = f"refused with {errno_words(step.errno)}"
    elif step.reason is not None:
        undefined = bool(step.verdicts) and not step.verdicts[-1].accepted
        answer = "nobody knows what happens" if undefined else "not done"
    facts = [("kernel log", line) for line in step.lines]
    facts += [("because", step.reason)] if step.reason is not None else []
    facts += [("to do", verdict.hint) for verdict in step.verdicts if verdict.hint]
    facts += [("not checked", what) for verdict in step.verdicts for what in verdict.unchecked]
    described = [f"  {name:14}{value}" for name, value in facts]
    return "\n".join([f"{step.command.text}: {answer}", *(f"  {line}" for line in step.output), *described])


def read_script(text: str) -> list[Command]:
    """The commands of a script; raises `KbuildError` with the line that is none."""
    commands = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            words = _words(line)
        except ValueError as error:
            raise KbuildError(f"line {number}: {error}: {line.strip()}") from error
        if not words:
            continue
        verb, *operands = words
        if verb not in _COMMANDS:
            raise KbuildError(f"line {number}: {verb}: not a command", hint=f"There are {', '.join(_COMMANDS)}.")
        usage, fits = _COMMANDS[verb]
        if not fits(operands):
            raise KbuildError(f"line {number}: {line.strip()}: not understood", hint=f"usage: {usage}")
        commands.append(Command(number, line.strip(), words))
    return commands


def _words(line: str) -> list[str]:
    """The words of a line, up to one that begins with "#"."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(takewhile(lambda word: not word.startswith("#"), lexer))


def _steps(commands: Sequence[Command], kernel: LoaderKernel, base: Path, load: Load) -> Iterator[Step]:
    step = Step(Command(0, "", []), Modules(), kernel)
    for command in commands:
        step = Step(command, step.modules, step.kernel)
        verb, *operands = command.words
        if operands and operands[-1] == "&":
            step = _in_background(step, verb, operands[:-1], base, load)
        elif verb == "insmod":
            step = _insmod(step, base / operands[0], operands[0], " ".join(operands[1:]), load)
        elif verb == "modprobe" and operands[0] == "-r":
            step = _modprobe_remove(step, module_name(operands[1]))
        elif verb == "modprobe":
            step = _modprobe(step, module_name(operands[0]), " ".join(map(_quoted, operands[1:])), load)
        elif verb == "rmmod":
            for name in (word for word in operands if word != "-f"):
                step = _rmmod(step, module_name(name), O_TRUNC if "-f" in operands else 0)
        elif verb in ("open", "close"):
            step = _hold(step, module_name(operands[0]), opened=verb == "open")
        elif verb == "wait":
            step = _wait(step, module_name(operands[0]))
        elif verb == "lsmod":
            step = replace(step, output=tuple(lsmod(step.modules)))
        else:
            step = replace(step, output=tuple(proc_modules(step.modules, step.kernel)))
        yield step


def _in_background(step: Step, verb: str, operands: Sequence[str], base: Path, load: Load) -> Step:
    """An init or exit function that has not returned yet: the module is COMING, or GOING."""
    if verb == "insmod":
        loaded = _insmod(step, base / operands[0], operands[0], " ".join(operands[1:]), load)
        if not loaded.done:
            return loaded
        return replace(loaded, modules=loaded.modules.changed(loaded.modules.loaded[0].name, state="COMING"))
    name = module_name(operands[0])
    gone = _rmmod(step, name, 0)
    return replace(gone, modules=step.modules.changed(name, state="GOING")) if gone.done else gone


def _wait(step: Step, name: str) -> Step:
    """Until what goes on with `name` is over."""
    module = step.modules.find(name)
    if module is None or module.state == "LIVE":
        return replace(step, errno="ECHILD", reason=f"no init or exit function of {name} is running")
    if module.state == "GOING":
        return replace(step, modules=step.modules.without(name))
    return replace(step, modules=step.modules.changed(name, state="LIVE"))


def _insmod(step: Step, file: Path, shown: str, args: str, load: Load) -> Step:
    try:
        contents = read_module(file)
    except KbuildError as error:
        return _unreadable(step, error)
    return _load(step, contents, args, shown, load)


def _unreadable(step: Step, error: KbuildError) -> Step:
    """Refused with the errno of what was to be read, where it is the file and not what is in it."""
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    return replace(step, errno=errno_name(number) if number else None, reason=str(error))


def _load(step: Step, contents: bytes, args: str, file: str, load: Load) -> Step:
    verdict, modules = load(contents, step.kernel, step.modules, args, file)
    return replace(
        _tainted(step, verdict.taints),
        modules=modules,
        errno=verdict.errno,
        reason=None if verdict.accepted else verdict.reason,
        lines=(*step.lines, *verdict.lines),
        verdicts=(*step.verdicts, verdict),
    )


def _modprobe(step: Step, name: str, args: str, load: Load, *, pending: tuple[str, ...] = ()) -> Step:
    """Load what `name` needs and is not loaded, then `name` itself. kmod says nothing when it is loaded already."""
    if step.modules.find(name) is not None or name in pending:
        return step
    if step.kernel.modules_of is None:
        return replace(step, reason=f"the modules of kernel {step.kernel.release} are not known")
    try:
        contents = step.kernel.modules_of(name)
        listed = step.kernel.depends_of(name) if step.kernel.depends_of else None
    except KbuildError as error:
        return _unreadable(step, error)
    if contents is None:
        return replace(step, errno="ENOENT", reason=f"kernel {step.kernel.release} has no module {name}")
    for needed in stated_needs(contents) if listed is None else listed:
        step = _modprobe(step, needed, "", load, pending=(*pending, name))
        if not step.done:
            return step
    return _load(step, contents, args, name, load)


def _modprobe_remove(step: Step, name: str) -> Step:
    """Unload `name`, then each that it used and that nothing holds any more."""
    module = step.modules.find(name)
    step = _rmmod(step, name, 0)
    if not step.done or module is None:
        return step
    for used in module.uses:
        below = step.modules.find(used)
        if below is not None and step.modules.refcount(below) == 0 and not below.is_permanent:
            step = _modprobe_remove(step, used)
    return step


def _rmmod(step: Step, name: str, flags: int) -> Step:
    """(What kmod finds out in /sys before it asks the kernel, the kernel finds out as well.)"""
    unloading = delete_module(step.modules, name, step.kernel, flags=flags)
    return replace(
        _tainted(step, unloading.taints),
        modules=unloading.modules,
        errno=unloading.errno or step.errno,
        reason=unloading.reason if unloading.errno else step.reason,
        lines=(*step.lines, *unloading.lines),
    )


def _hold(step: Step, name: str, *, opened: bool) -> Step:
    change = try_module_get if opened else module_put
    modules = change(step.modules, name)
    if modules is None:
        reason = f"{name} is not loaded" if step.modules.find(name) is None else f"no file of {name} is open"
        return replace(step, errno="ENOENT" if opened else "EBADF", reason=reason)
    return replace(step, modules=modules)


def _tainted(step: Step, taints: str) -> Step:
    """The step in a kernel that remembers its taints."""
    return replace(step, kernel=replace(step.kernel, tainted=letters({*step.kernel.tainted, *taints})))


def _quoted(parameter: str) -> str:
    """modprobe puts quotes around a value with spaces, which insmod does not."""
    name, equals, value = parameter.partition("=")
    return f'{name}{equals}"{value}"' if " " in value and value[0] not in "\"'" else parameter


def _only_names(words: list[str]) -> bool:
    return bool(words) and not any(word.startswith(("-", "&")) for word in words)


_COMMANDS: dict[str, tuple[str, Callable[[list[str]], bool]]] = {
    "insmod": ("insmod FILE.ko [PARAMETER ...]", lambda words: _only_names(words[:1])),
    "modprobe": (
        "modprobe NAME [PARAMETER ...], modprobe -r NAME",
        lambda words: len(words) == 2 if words[:1] == ["-r"] else _only_names(words[:1]),
    ),
    "rmmod": (
        "rmmod [-f] NAME ..., rmmod NAME &",
        lambda words: (len(words) == 2 and words[1] == "&") or _only_names([word for word in words if word != "-f"]),
    ),
    "wait": ("wait NAME", lambda words: len(words) == 1),
    "lsmod": ("lsmod", lambda words: not words),
    "cat": ("cat /proc/modules", lambda words: words == ["/proc/modules"]),
    "open": ("open NAME", lambda words: len(words) == 1),
    "close": ("close NAME", lambda words: len(words) == 1),
}
"""Each command's usage, and whether words are operands that it takes."""

# SPDX-License-Identifier: GPL-2.0-only
"""Runs a script of insmod, rmmod and other commands on the model of a kernel.

A script has one command per line, with the quotes and comments of a shell:

    insmod FILE.ko [PARAMETER ...]      modprobe NAME [PARAMETER ...]   (a name or an alias of the kernel's own modules)
    rmmod [-f] NAME ...                 modprobe -r NAME                (also unloads dependencies that are unused then)
    lsmod                               cat /proc/modules
    open NAME, close NAME               (a program opens a file of the module, which takes a reference, or closes it)
    insmod FILE.ko ... &, rmmod NAME &  (the init or exit function is still running when the next command starts)
    wait NAME                           (waits until this function has returned)

The code of modules is not run: every init function is assumed to succeed, and to take no reference to a module.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from os import O_TRUNC
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.modprobe import modprobe, modprobe_remove
from kbuildpy.loader.lifecycle.procfs import lsmod, proc_modules
from kbuildpy.loader.lifecycle.step import Command, Load, ScriptStep, load_contents, load_one, unload, unreadable
from kbuildpy.loader.lifecycle.unload import module_put, try_module_get
from kbuildpy.loader.loaded import Modules


def run_script(text: str, kernel: LoaderKernel, base_directory: Path, *, load: Load = load_one) -> Iterator[ScriptStep]:
    """Run the script `text` on `kernel`, with no module loaded, and yield each step. Paths are relative to
    `base_directory`.

    A step that fails does not stop the script. Raises `KbuildError` for a script that cannot be parsed, before the
    first step.
    """
    return _steps(read_script(text), kernel, base_directory, load)


def read_script(text: str) -> list[Command]:
    """Return the commands of a script. Raises `KbuildError` for the first line that is not a valid command."""
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
    """The words of a line, before the first that begins with "#". Raises `ValueError` for an unclosed quote."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(takewhile(lambda word: not word.startswith("#"), lexer))


def _steps(commands: Sequence[Command], kernel: LoaderKernel, base: Path, load: Load) -> Iterator[ScriptStep]:
    step = ScriptStep(Command(0, "", []), Modules(), kernel)
    for command in commands:
        step = ScriptStep(command, step.modules, step.kernel)
        verb, *operands = command.words
        if operands and operands[-1] == "&":
            step = _in_background(step, verb, operands[:-1], base, load)
        elif verb == "insmod":
            step = _insmod(step, base / operands[0], operands[0], " ".join(operands[1:]), load)
        elif verb == "modprobe" and operands[0] == "-r":
            step = modprobe_remove(step, operands[1])
        elif verb == "modprobe":
            step = modprobe(step, operands[0], " ".join(map(_quoted, operands[1:])), load)
        elif verb == "rmmod":
            for name in (word for word in operands if word != "-f"):
                step = unload(step, module_name(name), O_TRUNC if "-f" in operands else 0)
        elif verb in ("open", "close"):
            step = _hold(step, module_name(operands[0]), opened=verb == "open")
        elif verb == "wait":
            step = _wait(step, module_name(operands[0]))
        elif verb == "lsmod":
            step = replace(step, output=tuple(lsmod(step.modules)))
        else:
            step = replace(step, output=tuple(proc_modules(step.modules, step.kernel)))
        yield step


def _in_background(step: ScriptStep, verb: str, operands: Sequence[str], base: Path, load: Load) -> ScriptStep:
    """Run insmod or rmmod with "&": the init or exit function has not returned yet, so the module is COMING or
    GOING."""
    if verb == "insmod":
        loaded = _insmod(step, base / operands[0], operands[0], " ".join(operands[1:]), load)
        if not loaded.done:
            return loaded
        return replace(loaded, modules=loaded.modules.changed(loaded.modules.loaded[0].name, state="COMING"))
    name = module_name(operands[0])
    gone = unload(step, name, 0)
    return replace(gone, modules=step.modules.changed(name, state="GOING")) if gone.done else gone


def _wait(step: ScriptStep, name: str) -> ScriptStep:
    """End the init function of `name`, which becomes LIVE, or its exit function, which removes it from the list."""
    module = step.modules.find(name)
    if module is None or module.state == "LIVE":
        return replace(step, errno="ECHILD", reason=f"no init or exit function of {name} is running")
    if module.state == "GOING":
        return replace(step, modules=step.modules.without(name))
    return replace(step, modules=step.modules.changed(name, state="LIVE"))


def _insmod(step: ScriptStep, file: Path, shown: str, args: str, load: Load) -> ScriptStep:
    try:
        contents = read_module(file)
    except KbuildError as error:
        return unreadable(step, error)
    return load_contents(step, contents, args, shown, load)


def _hold(step: ScriptStep, name: str, *, opened: bool) -> ScriptStep:
    change = try_module_get if opened else module_put
    modules = change(step.modules, name)
    if modules is None:
        reason = f"{name} is not loaded" if step.modules.find(name) is None else f"no file of {name} is open"
        return replace(step, errno="ENOENT" if opened else "EBADF", reason=reason)
    return replace(step, modules=modules)


def _quoted(parameter: str) -> str:
    """`parameter` with quotes around a value that has spaces. modprobe adds them, insmod does not."""
    name, equals, value = parameter.partition("=")
    return f'{name}{equals}"{value}"' if " " in value and value[0] not in "\"'" else parameter


def _only_names(words: list[str]) -> bool:
    return bool(words) and not any(word.startswith(("-", "&")) for word in words)


_COMMANDS: dict[str, tuple[str, Callable[[list[str]], bool]]] = {
    "insmod": (
        "insmod FILE.ko [PARAMETER ...], insmod FILE.ko [PARAMETER ...] &",
        lambda words: _only_names(words[:1]),
    ),
    "modprobe": (
        "modprobe NAME [PARAMETER ...], modprobe -r NAME",
        lambda words: "&" not in words[-1:] and (len(words) == 2 if words[:1] == ["-r"] else _only_names(words[:1])),
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
"""For each command the usage, and a function that returns whether words are valid operands."""

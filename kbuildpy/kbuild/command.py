# SPDX-License-Identifier: GPL-2.0-only
"""Runs the shell text of Kbuild's commands.

Nearly all of them are plain words joined by `;`: those are run as argument lists, without a shell. A command that needs
a shell (pipes, redirections, variables) gets one, under `set -e` as in Kbuild's `cmd` macro. The text comes from the
kernel tree, and is never composed here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from kbuildpy.not_started import not_started_in
from kbuildpy.run import run_attached
from kbuildpy.say import say
from kbuildpy.shell_words import is_operator, shell_words

_SHELL_CHARACTERS = frozenset("$`*?[~\n")
_SHELL_WORDS = frozenset({"if", "for", "while", "case", "{", "}", "!", "set", "exit", "cd", ":"})


# Variables before the first program (rustc's), whose values need no shell.
_ASSIGNMENTS = re.compile(r"\s*(?:[A-Za-z_]\w*=[\w./:,+@%-]*\s+)+")
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.DOTALL)


def _expanded(quoted: re.Match[str]) -> str:
    """The `$` and backquotes that a shell would expand in a quoted part of a command: those between double quotes."""
    return "".join(character for character in quoted[0] if quoted[0][0] == '"' and character in "$`")


def split_command(text: str) -> list[list[str]] | None:
    """The argument lists of a command of plain words joined by `;`, without `true`; None for a command that needs a
    shell."""
    if not _SHELL_CHARACTERS.isdisjoint(text) and not _SHELL_CHARACTERS.isdisjoint(_QUOTED.sub(_expanded, text)):
        return None
    try:
        words = list(shell_words(text))
    except ValueError:
        return None
    commands: list[list[str]] = [[]]
    for word in words:
        if word == ";":
            commands.append([])
        elif is_operator(word):
            return None
        else:
            commands[-1].append(word)
    found = [command for command in commands if command]
    if any(command[0] in _SHELL_WORDS or "=" in command[0] for command in found):
        return None
    return [command for command in found if command != ["true"]]


def run_command(
    text: str,
    *,
    cwd: str,
    env: Mapping[str, str],
    extra: Sequence[str] = (),
    verbose: bool = False,
    begin: Callable[[], None] | None = None,
    renames: tuple[str, str] | None = None,
    whose: str = "",
    hear_objtool: Callable[[str], None] | None = None,
    hear: Callable[[str], None] | None = None,
) -> int:
    """Run a command of Kbuild's; returns its exit status, or that of the first of its parts that fails.

    `extra` are options that are added at the end of the compiler's command, which is the first part. Each new process
    calls `begin` before it executes its program. Output goes to the standard output and error of this process;
    `renames` is a text that is replaced in it, and the replacement; `whose` names the kernel that the output is about,
    where the build is for several. `hear_objtool` is called with the messages of objtool after they were printed, if
    objtool is a part of the command; `hear` with those of every part. Raises `CommandError`, with a hint, for a program
    that cannot be started.
    """
    if verbose:
        say(f"  {text}")
    given = _ASSIGNMENTS.match(text)
    first_env = env if given is None else {**env, **dict(word.split("=", 1) for word in given[0].split())}
    commands = split_command(text[given.end() :] if given else text)
    if commands is None:
        if extra:
            text = text.replace(" -c -o ", f" {shlex.join(extra)} -c -o ", 1)
        argv = ["sh", "-c", f"set -e; {text}"]
        status = run_attached(argv, cwd=cwd, env=env, begin=begin, renames=renames, whose=whose, hear=hear)
        error = not_started_in(text, status, cwd=cwd, env=env)
        if error:
            raise error
        return status
    for number, command in enumerate(commands):
        argv = [*command, *extra] if number == 0 else command
        listener = _both(hear, hear_objtool if command[0].endswith("/objtool") else None)
        its = env if number else first_env
        status = run_attached(argv, cwd=cwd, env=its, begin=begin, renames=renames, whose=whose, hear=listener)
        if status:
            return status
    return 0


def _both(*listeners: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """A function that calls all `listeners` that there are; None without any."""
    there = [listener for listener in listeners if listener is not None]

    def hear(said: str) -> None:
        for listener in there:
            listener(said)

    return hear if there else None

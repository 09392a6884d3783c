# SPDX-License-Identifier: GPL-2.0-only
"""Shells on a terminal of their own, in which a line is typed and completed with the Tab key."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.cli.completion import SHELLS, script

_PATIENCE = 60
_AWAY = "\x01\x0b"
"""Keys that remove a line, and that the terminal itself does not take for its own before the shell reads them."""
_ENVIRONMENT = ("KBUILDPY_CACHE", "XDG_CACHE_HOME")

# `kbuildpy` that completes as the real one, and otherwise writes its arguments down.
_PROGRAM = """#!/bin/sh
if [ "$1" = completion ]; then exec {python} -m kbuildpy "$@"; fi
printf '%s\\n' "$@" >{called}
"""

_BASH = """
PS1=''
for setting in 'show-all-if-ambiguous on' 'completion-query-items 0' 'page-completions off' \\
    'completion-display-width 0' 'enable-bracketed-paste off' 'bell-style none'; do bind "set $setting"; done
. {script}
"""

# What is proposed goes to a file as well.
_ZSH = """
unsetopt prompt_cr prompt_sp
fpath=({folder} $fpath)
autoload -U compinit
compinit -u -D
compadd() {{
    local -a _proposed
    builtin compadd -A _proposed "$@"
    print -rl -- $_proposed >>{proposed}
    builtin compadd "$@"
}}
"""


class CompletingShell:
    """`bash`, `zsh` or `fish` with kbuildpy's completion, in the directory `cwd`. `scratch` is for files of its own."""

    def __init__(self, name: str, cwd: Path, scratch: Path) -> None:
        self.name, self._cwd = name, cwd
        programs = scratch / "bin"
        programs.mkdir()
        self._called, self._proposed = scratch / "called", scratch / "proposed"
        (programs / "kbuildpy").write_text(_PROGRAM.format(python=sys.executable, called=self._called))
        (programs / "kbuildpy").chmod(0o755)
        self._script = scratch / SHELLS[name][0]
        self._script.write_text(script(name))
        self._environ = {
            **{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(scratch),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }
        self._number = 0
        if name != "fish":
            begin = (_BASH if name == "bash" else _ZSH).format(
                script=self._script, folder=scratch, proposed=self._proposed
            )
            (scratch / "begin").write_text(begin)
            words = ["bash", "--norc", "--noprofile", "-i"] if name == "bash" else ["zsh", "-f", "-i"]
            self._process, self._terminal = self._start(words)
            self._run(f". {scratch}/begin\n")

    def close(self) -> None:
        """End the shell."""
        if self.name != "fish":
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            os.close(self._terminal)

    def completed(self, line: str) -> list[str]:
        """The arguments that kbuildpy gets when `line`, Tab and Enter are typed. Not for fish."""
        self._called.unlink(missing_ok=True)
        self._run(f"{line}\t\n")
        return self._called.read_text().splitlines()

    def proposed(self, lines: Sequence[str]) -> list[set[str]]:
        """The words that Tab proposes behind each of `lines`, directories without their slash."""
        answers = self._ask_fish(lines) if self.name == "fish" else map(self._press_tab, lines)
        return [{word.rstrip("/") for word in found if word} for found in answers]

    def _press_tab(self, line: str) -> list[str]:
        if self.name == "zsh":
            self._proposed.unlink(missing_ok=True)
            self._run(f"{line}\t{_AWAY}\n")
            found = self._proposed.read_text().splitlines() if self._proposed.exists() else []
        else:
            # Below the line, one on each, up to the line again. What is typed while the shell is busy is echoed by the
            # terminal as well, so the line may stand there before.
            parts: list[list[str]] = [[]]
            for word in map(str.strip, self._run(f"{line}\t{_AWAY}\n").split("\n")):
                if word.startswith(("kbuildpy ", "echo ")):
                    parts.append([])
                else:
                    parts[-1].append(word)
            found = max(parts[1:], key=len, default=[])
        return found

    def _ask_fish(self, lines: Sequence[str]) -> list[list[str]]:
        asked = "; echo; ".join(f"complete -C {shlex.quote(line)}" for line in lines)
        argv = ["fish", "--no-config", "-c", f"source {self._script}; {asked}"]
        done = subprocess.run(
            argv, cwd=self._cwd, env=self._environ, capture_output=True, text=True, check=True, timeout=_PATIENCE
        )
        answers = done.stdout.split("\n\n")
        return [[line.partition("\t")[0] for line in answer.splitlines()] for answer in answers]

    def _start(self, words: list[str]) -> tuple[int, int]:
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self._cwd)
            os.execvpe(words[0], words, self._environ)
        return process, terminal

    def _run(self, keys: str) -> str:
        """Type `keys`, and wait until the shell has done all. What it printed up to then."""
        self._number += 1
        end = f"end-of-{self._number}"
        os.write(self._terminal, f"{keys}echo end-''of-{self._number}\n".encode())
        printed = ""
        deadline = time.monotonic() + _PATIENCE
        while not re.search(rf"^{end}\r?$", printed, re.MULTILINE):
            ready, _, _ = select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{self.name} does not come to an end: {printed!r}")
            printed += os.read(self._terminal, 65536).decode(errors="replace")
        return printed.replace("\r", "")

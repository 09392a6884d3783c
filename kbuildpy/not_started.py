# SPDX-License-Identifier: GPL-2.0-only
"""Why a program could not be started, and what to do about it.

Kbuild's commands start programs of the kernel tree (objtool, genksyms, modpost) by their paths. If such a program is
missing, or was built for another machine, the package or the kernel tree is incomplete; the search path does not
matter.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.execute import execute
from kbuildpy.kernel.architecture import ARCHITECTURES
from kbuildpy.kernel.packages import reinstall_hint
from kbuildpy.program_packages import install_hint
from kbuildpy.shell_words import is_operator, shell_words

# e_machine of a program (elf.h), as `uname -m` calls the machine.
_MACHINES = {item.elf_machine: item.uname for item in ARCHITECTURES}
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # a shell's exit statuses for a program that it could not start
_RUNS = {"x86_64": ("x86_64", "i686"), "aarch64": ("aarch64", "armv7l")}  # the machines that can run programs of others
# Words that may precede a program in a shell command.
_BEFORE = frozenset({"!", "{", "do", "elif", "else", "if", "then", "time", "until", "while"})
_BUILT_IN = frozenset({":", "[", "break", "cd", "continue", "done", "echo", "eval", "exec", "exit", "export", "false"})
_BUILT_IN |= {"fi", "for", "in", "printf", "read", "set", "shift", "test", "trap", "true", "unset", "wait", "}", "[["}
_BUILT_IN |= {
    ".",
    "alias",
    "command",
    "declare",
    "getopts",
    "hash",
    "kill",
    "let",
    "local",
    "pwd",
    "readonly",
    "return",
}
_BUILT_IN |= {"source", "times", "type", "typeset", "ulimit", "umask", "unalias"}
_PATTERNS, _FUNCTION = "case", "function"


def not_started(program: str, cwd: str, number: int) -> CommandError:
    """The error for `program`, as a command names it, that execve(2) refused with the errno `number` in `cwd`."""
    if "/" not in program:
        if number == errno.ENOENT:
            return CommandError(f"{program}: program not found", hint=install_hint(program), returncode=_NOT_FOUND)
        return CommandError(f"{program}: {os.strerror(number).lower()}", returncode=_NOT_EXECUTABLE)
    path = Path(cwd, program)
    # (the directory: the program may be a link, as in a root of Nix's; a file that is gone has no links to follow)
    real = path.parent.resolve() / path.name
    if number == errno.ENOENT and not path.exists():
        return CommandError(f"{real}: program not found", hint=_restoring_hint(real), returncode=_NOT_FOUND)
    if number == errno.ENOENT:
        what = f"{real}: cannot be started: the interpreter or dynamic loader that it names is missing"
        return CommandError(what, hint=_restoring_hint(real), returncode=_NOT_FOUND)
    if number == errno.ENOEXEC:
        built_for, here = _machine_of(_head(real)), os.uname().machine
        if built_for and built_for != here:
            return CommandError(
                f"{real}: a program for {built_for}, but this machine is {here}",
                hint=f"{_replacing_hint(real)}: the kernel tree's own programs must be this machine's",
                returncode=_NOT_EXECUTABLE,
            )
        return CommandError(
            f"{real}: not a program (empty or damaged?)", hint=_restoring_hint(real), returncode=_NOT_EXECUTABLE
        )
    hint = f"chmod a+x {real}" if number == errno.EACCES and not os.access(real, os.X_OK) else ""
    return CommandError(f"{real}: {os.strerror(number).lower()}", hint=hint, returncode=_NOT_EXECUTABLE)


def not_started_in(command: str, status: int, *, cwd: str, env: Mapping[str, str]) -> CommandError | None:
    """The error for the first program in the shell's `command` that cannot be started, if the exit `status` means that
    there is one. (The shell has printed its name, without a hint.)"""
    if status not in (_NOT_EXECUTABLE, _NOT_FOUND):
        return None
    for program in _programs(command):
        number = _refusal(program, cwd, env)
        if number:
            return not_started(program, cwd, number)
    return None


def _programs(command: str) -> Iterator[str]:
    """The first word of each simple command, built-in ones left out; up to a `case`, whose patterns look like programs,
    and to the first function, which is called like one."""
    words: list[str] = []
    with suppress(ValueError):  # (an open quote: the shell said so)
        for word in shell_words(command):
            words.append(word)
    begins = True
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if is_operator(word):
            begins = "<" not in word and ">" not in word
        elif begins and word and not (word in _BEFORE or "=" in word.split("/")[0]):
            begins = False
            if word in (_PATTERNS, _FUNCTION) or following.startswith("("):
                return
            if word not in _BUILT_IN and "$" not in word:
                yield word


def _refusal(program: str, cwd: str, env: Mapping[str, str]) -> int:
    """The errno with which `program` would not be started, 0 if it would be."""
    if "/" not in program:
        return 0 if shutil.which(program, path=env.get("PATH")) else errno.ENOENT
    path = Path(cwd, program)
    if not path.exists():
        return errno.ENOENT
    if not os.access(path, os.X_OK):
        return errno.EACCES
    head = _head(path)
    foreign = _machine_of(head) not in ("", *_RUNS.get(os.uname().machine, (os.uname().machine,)))
    return errno.ENOEXEC if foreign or head == b"" else 0


def _head(path: Path) -> bytes | None:
    """The first bytes of a program, b"" for a directory; None if they cannot be read (a file with execute permission
    only)."""
    try:
        with path.open("rb") as file:
            return file.read(20)
    except IsADirectoryError:
        return b""
    except OSError:
        return None


def _machine_of(header: bytes | None) -> str:
    """The machine of the ELF program with this `header`; "" for other files and unknown machines."""
    if header is None or len(header) < 20 or not header.startswith(b"\x7fELF"):
        return ""
    return _MACHINES.get(int.from_bytes(header[18:20], "little" if header[5] == 1 else "big"), "")


def package_with(path: Path) -> str:
    """The installed Debian package that has the file `path`, also when the file is gone; "" for none."""
    if not shutil.which("dpkg-query"):
        return ""
    # (packages from before the merge of /usr list files in /lib)
    names = [str(path), *([str(path).removeprefix("/usr")] if str(path).startswith("/usr/lib") else [])]
    for name in names:
        try:
            done = execute(["dpkg-query", "--search", name], timeout=60)
        except (OSError, subprocess.SubprocessError):
            return ""
        owner, _, found = done.text.partition("\n")[0].rpartition(": ")
        if done.returncode == 0 and found == name:
            return owner.partition(",")[0]
    return ""


def _restoring_hint(path: Path) -> str:
    package = package_with(path)
    if package:
        return f"apt-get install --reinstall {package}"
    owner = _packaged_folder(path)
    if owner:
        return reinstall_hint(owner)
    tree = _tree_around(path)
    return f"make -C {tree} modules_prepare" if tree else install_hint(path.name)


def _replacing_hint(path: Path) -> str:
    package = package_with(path).partition(":")[0]
    owner = _packaged_folder(path)
    name = package or (owner.name if owner else "")
    if name:
        return f"install {name} of this machine's architecture"
    tree = _tree_around(path)
    return f"build it anew (make -C {tree} modules_prepare)" if tree else f"install {path.name} for this machine"


def _tree_around(path: Path) -> Path | None:
    """The kernel tree that makes the program `path`: all of its own are below scripts/ and tools/."""
    return next((folder.parent for folder in path.parents if folder.name in ("scripts", "tools")), None)


def _packaged_folder(path: Path) -> Path | None:
    """The folder around `path` that is named like its Debian package."""
    prefixes = ("linux-headers-", "linux-kbuild-")
    return next((folder for folder in path.parents if folder.name.startswith(prefixes)), None)

# SPDX-License-Identifier: GPL-2.0-only
"""Evaluates dkms.conf files: they are programs in bash, and bash runs them.

The process has an environment of its own, no input, limits on time, memory of its output and open files, and, where the
kernel has namespaces, neither a network nor a file that it could write (`confine`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.dkms.confine import confining
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.printable import printable
from kbuildpy.run import run, run_confined

_SCRIPT = Path(__file__).with_name("evaluate.sh")
_SECONDS = 20
_LARGEST = 4 << 20
_SAID = 2000
"""How much of what a file prints on standard error is kept."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASH = ("bash", "--noprofile", "--norc")


@dataclass(frozen=True)
class ConfValues:
    """What files in bash say."""

    values: Mapping[str, Mapping[int, str]]
    """The value of each directive that was given one, by index."""
    matches: Mapping[tuple[str, int], bool]
    """Whether the kernel or the architecture matches the pattern of a directive, as bash's `=~` has it."""
    said: str
    """What the files printed on standard error, printable."""

    def first(self, name: str) -> str:
        """The value of a directive that has one: that of index 0; "" without one."""
        return self.values.get(name, {}).get(0, "")


def evaluate(files: Sequence[Path], names: Sequence[str], variables: Mapping[str, str]) -> ConfValues:
    """What `files`, one after the other, say of the directives `names`, where they see `variables`.

    Raises `KbuildError` for a file with a syntax error, one that ends the shell, and one that does not end in time.
    """
    for file in files:
        _check_syntax(file)
    words = [*_BASH, str(_SCRIPT), *names, "--", *map(str, files)]
    environment = {"PATH": _PATH, "HOME": "/nonexistent", "LC_ALL": "C", "TMPDIR": "/dev/shm", **variables}
    try:
        done = run_confined(
            words,
            cwd=files[0].parent,
            env=environment,
            timeout=_SECONDS,
            limit=_LARGEST,
            begin=confining(),
        )
    except CommandError as error:
        raise KbuildError(
            f"{files[0]}: {error.message.removeprefix('bash: ')}",
            hint="a dkms.conf sets variables; it is evaluated for each kernel, and must end by itself",
        ) from error
    said = "\n".join(map(printable, done.error_text[:_SAID].strip().splitlines()))
    return _parse(done.stdout, files[0], said)


def _check_syntax(file: Path) -> None:
    checked = run([*_BASH, "-n", file], env={"PATH": _PATH, "LC_ALL": "C"}, check=False)
    if checked.returncode == 0:
        return
    first = next(iter(checked.error_text.splitlines()), "")
    # (bash: FILE: line N: WORDS)
    found = re.fullmatch(rf"{re.escape(str(file))}: line (\d+): (.*)", first)
    place, words = (f"{file}:{found[1]}", found[2]) if found else (str(file), first or "bash does not read it")
    raise KbuildError(f"{place}: {printable(words)}", hint="a dkms.conf is a program in bash")


def _parse(printed: bytes, file: Path, said: str) -> ConfValues:
    fields = printed.decode(errors="surrogateescape").split("\0")
    values: dict[str, dict[int, str]] = {}
    matches: dict[tuple[str, int], bool] = {}
    told = f"; it says: {said.splitlines()[-1]}" if said else ""
    unended = KbuildError(f"{file}: ended before its end{told}", hint="a dkms.conf must not exit: DKMS sources it")
    for key, value in zip(fields[::2], fields[1::2], strict=False):
        if key == "!ended":
            raise KbuildError(unended.message.replace(str(file), value, 1), hint=unended.hint)
        if key == "!done":
            return ConfValues(values, matches, said)
        if found := re.fullmatch(r"([=?])(\w+)\[(\d+)\]", key):
            kind, name, index = found[1], found[2], int(found[3])
            if kind == "=":
                values.setdefault(name, {})[index] = value
            else:
                matches[name, index] = _is_match(value, name, file)
    raise unended


def _is_match(status: str, name: str, file: Path) -> bool:
    if status == "2":
        raise KbuildError(f"{file}: {name} is not a regular expression", hint="bash's =~ must take it (regex(7))")
    return status == "0"

# SPDX-License-Identifier: GPL-2.0-only
"""Makefiles that call Kbuild: `$(MAKE) -C $(KDIR) M=$(PWD)/src VARIABLE=value modules`.

Their recipes are read, not run. What their words mean is asked of GNU make, which reads the Makefile for it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.run import run

_DIRECTORY = ("M", "SUBDIRS", "KBUILD_EXTMOD")
# What chooses the kernel or the toolchain is the user's to say at each build, and is no part of the project.
_NOT_KEPT = frozenset(
    {*_DIRECTORY, "ARCH", "CROSS_COMPILE", "V", "W", "C", "O", "KDIR", "KERNELRELEASE", "MO", "KERNELDIR"}
)
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
# The shell's own words for where it is, as a recipe has them.
_HERE = re.compile(r"\$\$\(pwd\)|`pwd`|\$\$\{?PWD\}?|\$\(shell +pwd\)")


@dataclass(frozen=True)
class KbuildCall:
    """A call of Kbuild in a Makefile."""

    # of the Makefile, where the call stands
    line: int
    # where the modules are, absolute
    directory: Path
    # what Kbuild is given beside that
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class WrittenCall:
    """A call of Kbuild as a Makefile has it, its variables not expanded."""

    line: int
    text: str
    # what names the modules' directory, and what Kbuild is given beside that
    place: str
    variables: tuple[tuple[str, str], ...]


def written_calls(text: str) -> list[WrittenCall]:
    """The calls of Kbuild to build modules in the Makefile `text`, each once; neither make nor anything else is run."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], WrittenCall] = {}
    for line, words in _recipes(text):
        call = _call(words)
        if call is not None:
            place, given = call
            place = _HERE.sub("$(CURDIR)", place)
            written = WrittenCall(line, " ".join(words).lstrip("@-+"), place, tuple(given.items()))
            found.setdefault((place, written.variables), written)
    return list(found.values())


def kbuild_calls(makefile: Path) -> list[KbuildCall]:
    """The calls of Kbuild to build modules in `makefile`, each place once.

    Raises `KbuildError` with make's words if make cannot read the Makefile.
    """
    found: dict[tuple[Path, tuple[tuple[str, str], ...]], KbuildCall] = {}
    text = makefile.read_text(errors="surrogateescape")
    for line, words in _recipes(text):
        written = _call(words)
        if written is None:
            continue
        place, given = written
        values = _expand(makefile, [place, *given.values()])
        call = KbuildCall(
            line,
            (makefile.parent / values[0].strip()).resolve(),
            tuple(zip(given, (value.strip() for value in values[1:]), strict=True)),
        )
        found.setdefault((call.directory, call.variables), call)
    return list(found.values())


def _call(words: list[str]) -> tuple[str, dict[str, str]] | None:
    """What names the modules' directory in a command that has Kbuild build them, and the variables to keep."""
    given = {match[1]: match[2] for word in words if (match := _VARIABLE.fullmatch(word))}
    place = next((given[name] for name in _DIRECTORY if name in given), None)
    if place is None or not any(word == "-C" or word.startswith(("-C", "--directory")) for word in words):
        return None
    if any(word in ("clean", "modules_install", "help") for word in words) and "modules" not in words:
        return None
    return place, {
        name: value for name, value in given.items() if name not in _NOT_KEPT and not name.startswith("INSTALL_")
    }


def _recipes(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of recipes that call make, with their numbers, as words."""
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        whole = line
        while whole.endswith("\\"):
            whole = whole[:-1] + next(lines, (0, ""))[1]
        if not re.search(r"(\$[({]MAKE[)}]|\bmake\b)", whole):
            continue
        for command in re.split(r"&&|\|\||;", whole):
            yield number, _words(command)


def _words(command: str) -> list[str]:
    """The words of a shell command in which $(...) of make's may stand, spaces in those included."""
    masked = re.sub(r"\$[({][^(){}]*[)}]", lambda match: match[0].replace(" ", "\x1f"), command)
    try:
        words = shlex.split(masked, comments=False)
    except ValueError:
        words = masked.split()
    return [word.replace("\x1f", " ") for word in words]


def _expand(makefile: Path, texts: list[str]) -> list[str]:
    """What `texts` are after make has read `makefile`; nothing of it is run but what reading it runs.

    make ends before it makes anything, also what it would include: by an error of ours.
    """
    marker, end = "kbuildpy-value:", "kbuildpy: all is read"
    lines = [f"include {makefile.name}"]
    for text in texts:
        lines.append(f"$(info {marker}{_HERE.sub('$(CURDIR)', text)})")
    lines.append(f"$(error {end})")
    with TemporaryDirectory(prefix="kbuildpy-") as scratch:
        asking = Path(scratch) / "ask.mk"
        asking.write_text("\n".join(lines) + "\n", errors="surrogateescape")
        done = run(
            ["make", "-n", "-r", "--no-print-directory", "-f", asking],
            cwd=makefile.parent,
            env={**os.environ, "PWD": str(makefile.parent)},
            timeout=60,
            check=False,
        )
    if end not in done.error_text:
        raise KbuildError(f"{makefile}: make cannot read it: {done.error_text.strip()}")
    said = [line.removeprefix(marker) for line in done.text.split("\n") if line.startswith(marker)]
    return said[-len(texts) :]

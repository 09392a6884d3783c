# SPDX-License-Identifier: GPL-2.0-only
"""What a command needs: programs, Python packages, headers of C, and facts about the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kbuildpy.program_packages import package_of

PROGRAM, PYTHON, HEADER, FACT = "program", "python", "header", "fact"


@dataclass(frozen=True)
class MachineNeed:
    """One thing that is needed."""

    kind: str
    """`program`, `python`, `header` or `fact`."""
    name: str
    """The program's name, the Python package's, the header's path, or one of `look.FACTS`."""
    package: str = ""
    """Debian's packages that have it, with blanks between them; "" where no package does."""
    least: str = ""
    """The least version of a Python package."""


@dataclass(frozen=True)
class CommandPart:
    """Something that a command does, and what that needs."""

    needs: tuple[MachineNeed, ...]
    purpose: str = ""
    """What it is; "" for the command itself, which does nothing without."""


def programs(names: str | Iterable[str]) -> tuple[MachineNeed, ...]:
    """Programs by their names, words of one text or several."""
    words = names.split() if isinstance(names, str) else names
    return tuple(MachineNeed(PROGRAM, word, package_of(word)) for word in words)


def pythons(*requirements: str) -> tuple[MachineNeed, ...]:
    """Python packages, as `NAME` or `NAME>=VERSION`."""
    parts = (requirement.partition(">=") for requirement in requirements)
    return tuple(MachineNeed(PYTHON, name, least=least) for name, _, least in parts)


def fact(name: str, package: str = "") -> MachineNeed:
    """A fact about the machine."""
    return MachineNeed(FACT, name, package)

# SPDX-License-Identifier: GPL-2.0-only
"""What a machine has and lacks for one command, and the packages that bring what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kbuildpy.distribution import SYSTEMS, System
from kbuildpy.doctor.look import LookResult, ThisMachine
from kbuildpy.doctor.need import HEADER, PROGRAM, PYTHON, MachineNeed
from kbuildpy.doctor.needs_of_commands import PARTS
from kbuildpy.kernel.packages import headers_package
from kbuildpy.program_packages import names_of

_HEADERS = "linux-headers"


@dataclass(frozen=True)
class LookedFor:
    """A need of a command, and what there is of it."""

    need: MachineNeed
    purpose: str
    """What it is for; "" for the command itself."""
    found: LookResult

    @property
    def name(self) -> str:
        """What it is called: of a compiler, the program."""
        return self.found.name or self.need.name

    @property
    def package(self) -> str:
        """Debian's package."""
        return self.found.package or self.need.package


@dataclass(frozen=True)
class Diagnosis:
    """What a machine has and lacks for a command."""

    command: str
    needs: tuple[LookedFor, ...]

    @property
    def missing(self) -> tuple[LookedFor, ...]:
        """What the command itself lacks."""
        return tuple(each for each in self.needs if not each.purpose and not each.found.value)

    @property
    def lacking_parts(self) -> dict[str, list[LookedFor]]:
        """What it cannot do for want of something, and for want of what."""
        found: dict[str, list[LookedFor]] = {}
        for each in self.needs:
            if each.purpose and not each.found.value:
                found.setdefault(each.purpose, []).append(each)
        return found

    def summary(self) -> dict[str, object]:
        """What is missing, and no more."""
        lacking = {what: [each.name for each in items] for what, items in self.lacking_parts.items()}
        return {"command": self.command, "missing": [each.name for each in self.missing], "not_for": lacking}

    def to_json(self, system: System | None) -> dict[str, object]:
        """The object that `--format json` prints."""
        return {
            "command": self.command,
            "ready": not self.missing,
            "missing": [each.name for each in self.missing],
            "install": install_commands(self.missing, system),
            "needs": [
                {
                    "kind": each.need.kind,
                    "name": each.name,
                    "purpose": each.purpose,
                    "required": not each.purpose,
                    "found": each.found.value or None,
                    "least": each.need.least or None,
                    "packages": {word: package_names(each, other) for word, other in SYSTEMS.items()},
                }
                for each in self.needs
            ],
        }


def diagnose(command: str, machine: ThisMachine) -> Diagnosis:
    """What `machine` has and lacks for `command`."""
    needs = [LookedFor(need, part.purpose, machine.find(need)) for part in PARTS[command] for need in part.needs]
    return Diagnosis(command, tuple(needs))


def install_commands(missing: Iterable[LookedFor], system: System | None) -> list[str]:
    """The commands that install what is missing on `system`; Debian's where the distribution is not known. What no
    package brings is left out."""
    wanted = list(missing)
    where = system or SYSTEMS["debian"]
    names = dict.fromkeys(name for each in wanted for name in package_names(each, where).split())
    requirements = dict.fromkeys(_requirement(each.need) for each in wanted if each.need.kind == PYTHON)
    commands = [f"{where.install} {' '.join(names)}"] if names else []
    return [*commands, *([f"pip install {' '.join(requirements)}"] if requirements else [])]


def unpackaged(missing: Iterable[LookedFor], system: System | None) -> Sequence[str]:
    """The names of what is missing and in no package of `system` that is known."""
    where = system or SYSTEMS["debian"]
    kinds = (PROGRAM, HEADER)
    others = (each for each in missing if each.need.kind in kinds and not package_names(each, where))
    return list(dict.fromkeys(each.name for each in others))


def package_names(each: LookedFor, system: System) -> str:
    """The packages of `system` that have what was looked for, with blanks between them; "" for none."""
    if each.package == _HEADERS:
        return headers_package(system)
    return " ".join(name for package in each.package.split() if (name := names_of(package, system)))


def _requirement(need: MachineNeed) -> str:
    return f"'{need.name}>={need.least}'" if need.least else need.name

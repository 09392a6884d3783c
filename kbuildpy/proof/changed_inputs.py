# SPDX-License-Identifier: GPL-2.0-only
"""Which inputs of a build are others than recorded: files, programs, variables, flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.origins.command_options import options, split
from kbuildpy.proof.places import BuildPlaces, symvers_file
from kbuildpy.proof.record import GENERATED, KERNEL_HEADER, OWN_KINDS, SYMVERS, BuildRecord, MadeObject, UsedProgram
from kbuildpy.shared.contents import content_digest, program_digest

# They name the object, not how it is made.
_OWN_NAMES = ("-o ", "-Wp,-MMD,", "-Wp,-MD,", "@")
_MOST_FLAGS = 20


@dataclass(frozen=True)
class ChangedInput:
    """An input that is another than recorded."""

    kind: str
    """`source`, `header`, `makefile`, `kernel header`, `kernel tree`, `compiler`, `flag`, `variable`, ..."""
    name: str
    """The file, program or variable; of a flag the object that it is for."""
    recorded: str | None
    """What was recorded: a digest, a version, a flag; None for nothing."""
    present: str | None
    """What is there now; None for nothing."""

    def text(self) -> str:
        """In words."""
        if self.present is None:
            what = "missing here" if self.kind != "flag" else f"{self.recorded} is not used here"
        elif self.recorded is None:
            what = "not recorded, used here" if self.kind != "flag" else f"{self.present} was not recorded"
        elif self.kind in (*OWN_KINDS, KERNEL_HEADER) or len(self.recorded) == len(self.present) == _DIGEST:
            what = f"changed (SHA-256 {self.recorded[:16]} recorded, {self.present[:16]} here)"
        else:
            what = f"{self.recorded} recorded, {self.present} here"
        return f"{self.kind} {self.name}: {what}"


_DIGEST = 64


def changed_files(record: BuildRecord, places: BuildPlaces, tree: KernelTree) -> Iterator[ChangedInput]:
    """The recorded files that have other contents, or are missing, where `places` says that they are here."""
    for file in record.files:
        if file.kind == GENERATED:
            continue
        path = places.path(file.name)
        if file.kind == SYMVERS:
            path = symvers_file(path, tree)
        now = program_digest(path) if path.endswith("/vmlinux") and Path(path).is_file() else content_digest(path)
        if now != file.sha256:
            yield ChangedInput(file.kind, file.name, file.sha256, now or None)


def other_files(record: BuildRecord, present: BuildRecord) -> Iterator[ChangedInput]:
    """The files that the build `present` read besides those of `record`."""
    known = {file.name for file in record.files}
    for file in present.files:
        if file.name not in known and file.kind not in (GENERATED, SYMVERS):
            yield ChangedInput(file.kind, file.name, None, file.sha256)


def changed_programs(recorded: Sequence[UsedProgram], present: Sequence[UsedProgram]) -> Iterator[ChangedInput]:
    """The programs that are others than `recorded`."""
    now = {program.role: program for program in present}
    for program in recorded:
        other = now.pop(program.role, None)
        if other is None:
            yield ChangedInput(program.role, program.command, _described(program), None)
        elif other.sha256 != program.sha256 or other.version != program.version:
            said = [_described(program), _described(other)]
            if said[0] == said[1]:
                said = [f"{said[0]}, SHA-256 {program.sha256[:16]}", f"{said[1]}, SHA-256 {other.sha256[:16]}"]
            yield ChangedInput(program.role, other.command, said[0], said[1])
    for program in now.values():
        yield ChangedInput(program.role, program.command, None, _described(program))


def changed_variables(recorded: Mapping[str, str], present: Mapping[str, str]) -> Iterator[ChangedInput]:
    """The variables that have other values than `recorded`."""
    for name in sorted({*recorded, *present}):
        if recorded.get(name) != present.get(name):
            yield ChangedInput("variable", name, recorded.get(name), present.get(name))


def changed_flags(
    recorded: Iterable[MadeObject], present: Mapping[str, Sequence[str]], *, first: bool = False
) -> Iterator[ChangedInput]:
    """The flags that commands of objects have now, or have lost; `present` has the commands by the targets of objects,
    with the names of `places`; with `first` only the first one of each, which compiles. A flag that changed alike for
    several objects is told once."""
    found: dict[tuple[str | None, str | None], list[str]] = {}
    for item in recorded:
        now = present.get(item.target)
        if now is None:
            continue
        then = item.commands[:1] if first else item.commands
        before, after = Counter(_flags(then)), Counter(_flags(now))
        for flag in (before - after).elements():
            found.setdefault((flag, None), []).append(item.target)
        for flag in (after - before).elements():
            found.setdefault((None, flag), []).append(item.target)
    for (lost, new), targets in list(found.items())[:_MOST_FLAGS]:
        names = list(dict.fromkeys(targets))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield ChangedInput("flag", f"{names[0]}{more}", lost, new)


def _flags(commands: Sequence[str]) -> Iterator[str]:
    for text in commands:
        for option, _ in options(split(text)):
            if not option.startswith(_OWN_NAMES):
                yield option.rstrip(";")


def _described(program: UsedProgram) -> str:
    package = f" ({program.package.name} {program.package.version})" if program.package else ""
    return f"{program.version or program.command}{package}"

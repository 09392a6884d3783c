# SPDX-License-Identifier: GPL-2.0-only
"""Copies of makefiles that write down each assignment that make carries out (`mk/trace.mk`).

A note follows each assignment, and each include leads to the copy of what it includes. What make computes stays the
same: a copy has the name of its original in MAKEFILE_LIST, from which the kernel's top Makefile knows where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.kbuild.make_output import MAKEFILES, Makefiles, read_records
from kbuildpy.origins.makefile_lines import Line, makefile_lines

_TRACED = ("tree.mk", "directory.mk")
"""The makefiles of ours that make is started with, and whose includes lead to copies."""
# What stands in a make variable's name, or in a word of a list, for itself.
_PLAIN_PATH = re.compile(r"[^\s:=#$%()]+")


@dataclass(frozen=True)
class Assignment:
    """An assignment in a makefile, or an include."""

    file: str
    """The makefile (absolute)."""
    line: Line
    """Where and what it is."""
    text: str
    """Its physical lines, as they are."""


@dataclass(frozen=True)
class TracedMakefiles:
    """Copies of makefiles."""

    ours: Makefiles
    """The copies of `mk/`, which make is started with."""
    assignments: tuple[Assignment, ...]
    """By the numbers of their notes."""

    @property
    def records(self) -> Path:
        """Where they write down what they carry out."""
        return Path(self.ours.environment["KBUILDPY_TRACE"])

    @property
    def answers(self) -> Path:
        """Where they write down what questions expand to."""
        return Path(self.ours.environment["KBUILDPY_ANSWERS"])


def trace_makefiles(makefiles: Iterable[str], place: Path, *, source: Path) -> TracedMakefiles:
    """Copies of `makefiles` (absolute) in the new folder `place`, for a kernel tree with this source part.

    A makefile that cannot be read, or whose name make takes for several words, has no copy: make reads the original.
    """
    place.mkdir()
    copies, mk = place / "copies", place / "mk"
    copies.mkdir()
    mk.mkdir()
    assignments: list[Assignment] = []
    table = []
    for number, name in enumerate(dict.fromkeys(makefiles)):
        text = _text_of(name)
        if text is None or not _PLAIN_PATH.fullmatch(name):
            continue
        copy = copies / f"{number}-{Path(name).name}"
        copy.write_text(_traced(text, name, str(copy), assignments), errors="surrogateescape")
        table.append(f"kbuildpy-at-{name} := {copy}")
    (place / "copies.mk").write_text("\n".join([*table, ""]), errors="surrogateescape")
    _copy_ours(mk, place)
    environment = {
        "KBUILDPY_TRACE": str(place / "trace"),
        "KBUILDPY_ANSWERS": str(place / "answers"),
        "KBUILDPY_COPIES": str(place / "copies.mk"),
        "KBUILDPY_QUESTIONS": str(place / "questions.mk"),
        "KBUILDPY_SOURCE": str(source),
    }
    return TracedMakefiles(Makefiles(mk, environment), tuple(assignments))


def with_questions(traced: TracedMakefiles, questions: Iterable[str], targets: Iterable[str]) -> TracedMakefiles:
    """`traced` for one more run of make, in which the texts of `questions` are expanded in the recipes of `targets`."""
    for path in (traced.records, traced.answers):
        path.unlink(missing_ok=True)
    text = _questions_text(questions)
    environment = traced.ours.environment
    Path(environment["KBUILDPY_QUESTIONS"]).write_text(text, errors="surrogateescape")
    asked = {**environment, "KBUILDPY_TARGETS": " ".join(targets)}
    return replace(traced, ours=traced.ours._replace(environment=asked))


def _text_of(name: str) -> str | None:
    try:
        return Path(name).read_text(errors="surrogateescape")
    except OSError:
        return None


def _copy_ours(folder: Path, place: Path) -> None:
    for path in MAKEFILES.glob("*.mk"):
        text = path.read_text()
        if path.name in _TRACED:
            # (what is ours says nothing about flags)
            text = f"include {folder}/trace.mk\n{_with_copied_includes(text)}"
        if path.name == "directory.mk":
            text += f"include {folder}/answers.mk\n"
        (folder / path.name).write_text(text)


def _with_copied_includes(text: str) -> str:
    lines = text.split("\n")
    for line in makefile_lines(text):
        if line.includes and "KBUILDPY_MK" not in line.value:
            lines[line.first - 1] = f"{line.operator} $(call kbuildpy-copies,{line.value})"
    return "\n".join(lines)


def _traced(text: str, name: str, copy: str, assignments: list[Assignment]) -> str:
    """The text of a copy of the makefile `name`; its assignments are added to `assignments`."""
    lines = text.split("\n")
    written = [f"MAKEFILE_LIST := $(filter-out {copy},$(MAKEFILE_LIST)) {name}"]
    done = 0
    for line in makefile_lines(text):
        if line.includes:
            written += lines[done : line.first - 1]
            written += [f"kbuildpy-including := {line.value}", f"$(call kbuildpy-note-include,{len(assignments)})"]
            written.append(f"{line.operator} $(call kbuildpy-copies,$(kbuildpy-including))")
            assignments.append(Assignment(name, line, lines[line.first - 1]))
        else:
            written += lines[done : line.last]
            # (make expands the lines of a recipe in their order, before it runs any)
            indent = "\t" if line.in_recipe else ""
            written.append(f"{indent}$(call kbuildpy-note,{len(assignments)},{line.name})")
            assignments.append(Assignment(name, line, "\n".join(lines[line.first - 1 : line.last])))
        done = line.last
    return "\n".join([*written, *lines[done:]])


def _questions_text(questions: Iterable[str]) -> str:
    asked = [f"{number} $(subst $(kbuildpy-newline), ,{text})" for number, text in enumerate(questions)]
    return "\n".join(["define kbuildpy-asked", "target $@", *asked, "end", "endef", ""])


def read_answers(text: str, questions: Sequence[str]) -> dict[str, dict[str, str]]:
    """What questions were expanded to in the recipes, by their targets."""
    found: dict[str, dict[str, str]] = {}
    for record in read_records(text):
        answers = {question: record.get(str(number), "") for number, question in enumerate(questions)}
        found.setdefault(record.get("target", ""), answers)
    return found

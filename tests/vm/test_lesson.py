# SPDX-License-Identifier: GPL-2.0-only
"""sample_modules/README.md: its commands do what it says, on the newest kernel whose headers are installed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.run import run
from tests.support.kernel_trees import trees
from tests.support.packages import newer_kernel
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.vm


def steps() -> Iterator[tuple[str, str]]:
    """Each command of the lesson and what it prints, by `...` for anything (in a line, or of lines)."""
    for block in re.findall(r"^```\n(.*?)^```$", (SAMPLES / "README.md").read_text(), re.DOTALL | re.MULTILINE):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


STEPS = list(steps())
FIRST = next(command for command, _ in STEPS if command.startswith("kbuildpy run "))
"""Every boot but this one is in the sweep; what goes wrong in a boot does so in other tests as well."""


def as_pattern(output: str) -> str:
    lines = [r"(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in output.splitlines()]
    return "".join(lines).replace(re.escape("..."), ".*")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the samples with what the lesson takes to be there."""
    found = tmp_path_factory.mktemp("lesson") / "sample_modules"
    shutil.copytree(SAMPLES, found)
    default = resolve_one((), Need.TREE).the_tree()
    other = next((tree for tree in trees() if tree.release != default.release), None) or newer_kernel()[0]
    (found.parent / "other-kernel").symlink_to(other.objects)
    order = next(output for command, output in STEPS if command == "cat order.txt")
    (found / "order.txt").write_text(order.replace("...", default.release))
    programs = found.parent / "bin"
    programs.mkdir()
    (programs / "kbuildpy").write_text(f'#!/bin/sh\nexec {sys.executable} -m kbuildpy "$@"\n')
    (programs / "kbuildpy").chmod(0o755)
    return found


def test_the_lesson_has_steps() -> None:
    assert len(STEPS) > 12


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(
            number, id=command, marks=[pytest.mark.sweep] if "kbuildpy run " in command and command != FIRST else []
        )
        for number, (command, _) in enumerate(STEPS)
    ],
)
def test_the_lesson_shows_what_it_says(number: int, place: Path) -> None:
    command, expected = STEPS[number]
    environ = {**os.environ, "PATH": f"{place.parent / 'bin'}:{os.environ['PATH']}"}
    done = run(["sh", "-c", f"{{ {command}; }} 2>&1"], cwd=place, env=environ, check=False, timeout=300)
    said = done.stdout.decode(errors="replace")
    assert re.fullmatch(as_pattern(expected), said), said

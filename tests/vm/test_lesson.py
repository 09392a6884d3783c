# SPDX-License-Identifier: GPL-2.0-only
"""sample_modules/README.md: its commands do what it says, on the newest kernel whose headers are installed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_one
from tests.support.console_blocks import console_steps, output_pattern, own_programs, what_it_prints
from tests.support.kernel_trees import trees
from tests.support.packages import newer_kernel
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.vm


STEPS = list(console_steps(SAMPLES / "README.md"))
FIRST = next(command for command, _ in STEPS if command.startswith("kbuildpy run "))
"""Every boot but this one is in the sweep; what goes wrong in a boot does so in other tests as well."""


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
    return found


@pytest.fixture(scope="module")
def environ(place: Path) -> dict[str, str]:
    return own_programs(place.parent / "bin")


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
def test_the_lesson_shows_what_it_says(number: int, place: Path, environ: dict[str, str]) -> None:
    command, expected = STEPS[number]
    said = what_it_prints(command, place, environ)
    assert re.fullmatch(output_pattern(expected), said), said

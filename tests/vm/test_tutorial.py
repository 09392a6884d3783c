# SPDX-License-Identifier: GPL-2.0-only
"""docs/tutorial.md: its commands do what it says, one after the other, from an empty directory on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.console_blocks import console_steps, output_pattern, own_programs, what_it_prints
from tests.support.documents import ROOT

pytestmark = pytest.mark.vm

STEPS = list(console_steps(ROOT / "docs/tutorial.md"))
FIRST_BOOT = next(number for number, (command, _) in enumerate(STEPS) if command.startswith("kbuildpy run "))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return own_programs(tmp_path_factory.mktemp("programs") / "bin")


def test_the_tutorial_goes_up_to_a_test_that_fails() -> None:
    boots = [expected for command, expected in STEPS[FIRST_BOOT:] if command.startswith("kbuildpy run ")]
    assert ["failed" in expected for expected in boots] == [False, True]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=command, marks=[pytest.mark.sweep] if number >= FIRST_BOOT else [])
        for number, (command, _) in enumerate(STEPS)
    ],
)
def test_the_tutorial_shows_what_is_printed(number: int, place: Path, environ: dict[str, str]) -> None:
    command, expected = STEPS[number]
    said = what_it_prints(command, place, environ)
    assert re.fullmatch(output_pattern(expected), said), said

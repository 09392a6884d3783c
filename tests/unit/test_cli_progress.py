# SPDX-License-Identifier: GPL-2.0-only
"""The bar over many modules, on a terminal and elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from kbuildpy.cli.progress import BAR_FROM
from tests.support.terminal import run_on_terminal

SCRIPT = f"""
from kbuildpy.cli.progress import with_bar
results, say = with_bar(iter(range({BAR_FROM})), {BAR_FROM}, quiet=False)
for number in results:
    say(f"line {{number}}")
    say(f"error {{number}}", error=True)
"""


def test_lines_and_errors_stand_above_the_bar() -> None:
    shown = run_on_terminal([sys.executable, "-c", SCRIPT])
    assert re.search(rf"0/{BAR_FROM} \[", shown)
    for number in range(BAR_FROM):
        for word in ("line", "error"):
            assert re.search(rf"[\r\n]{word} {number}\r\n", shown)


def test_lines_for_a_program_are_whole_and_without_a_bar() -> None:
    read, write = os.pipe()
    shown = run_on_terminal([sys.executable, "-c", SCRIPT], stdout=write)
    os.close(write)
    with os.fdopen(read) as lines:
        assert lines.read().splitlines() == [f"line {number}" for number in range(BAR_FROM)]
    assert "modules/s" in shown
    assert "line" not in shown


@pytest.mark.parametrize("change", [("quiet=False", "quiet=True"), (f"{BAR_FROM}", f"{BAR_FROM - 1}")])
def test_no_bar_for_few_modules_or_where_nobody_wants_it(change: tuple[str, str]) -> None:
    assert "modules/s" not in run_on_terminal([sys.executable, "-c", SCRIPT.replace(*change)])


def test_no_bar_where_there_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"line {number}" for number in range(BAR_FROM)]
    assert done.stderr.splitlines() == [f"error {number}" for number in range(BAR_FROM)]

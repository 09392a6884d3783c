# SPDX-License-Identifier: GPL-2.0-only
"""Pages whose commands are run: the commands in their fenced blocks, and what each prints.

`...` stands for anything: alone in a line for any number of lines, within a line for a part of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from kbuildpy.run import run


def console_steps(page: Path) -> Iterator[tuple[str, str]]:
    """Each command behind `$ ` of a page, and what it prints."""
    for block in re.findall(r"^```(?:console)?\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


def output_pattern(output: str) -> str:
    """What an output looks like, as a regular expression."""
    lines = [r"(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in output.splitlines()]
    return "".join(lines).replace(re.escape("..."), ".*")


def own_programs(place: Path) -> dict[str, str]:
    """The environment in which `kbuildpy` is this project's, by a program in the new folder `place`."""
    place.mkdir()
    (place / "kbuildpy").write_text(f'#!/bin/sh\nexec {sys.executable} -m kbuildpy "$@"\n')
    (place / "kbuildpy").chmod(0o755)
    return {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}


def what_it_prints(command: str, folder: Path, environ: dict[str, str], *, timeout: float = 300) -> str:
    """What a command prints in `folder`, on both standard streams."""
    done = run(["sh", "-c", f"{{ {command}\n}} 2>&1"], cwd=folder, env=environ, check=False, timeout=timeout)
    return done.stdout.decode(errors="replace")

# SPDX-License-Identifier: GPL-2.0-only
"""`Cell`: one kernel with all modules of a matrix, and what is to be done with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STEPS = ("build", "sign", "check", "run")
"""What can be done with modules, in this order."""


class Cell(NamedTuple):
    """An independent piece of work."""

    key: str
    """A digest of all that the result depends on: contents of files, the kernel, the steps, the version."""
    kernel: str
    """The word that names the kernel (`-k`): the path of a tree or an image, or a release."""
    release: str
    """The kernel's release."""
    inputs: Sequence[str]
    """Absolute paths: module directories to build, module files, directories of these."""
    steps: Sequence[str]
    """What is done, of `STEPS`."""
    variables: Mapping[str, str] = {}
    """Variables for make."""
    options: Mapping[str, Sequence[str]] = {}
    """For each step, further words of its command."""
    contents: str = ""
    """A digest of the contents of the inputs."""

    def write(self, path: Path) -> None:
        """Write it into the file `path`."""
        path.write_text(json.dumps(self._asdict()))


def read_cell(path: Path) -> Cell:
    """The cell in the file `path`. Raises `OSError`, `TypeError` and `ValueError` for a file that has none."""
    return Cell(**json.loads(path.read_text()))

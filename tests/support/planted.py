# SPDX-License-Identifier: GPL-2.0-only
"""Sources with planted faults: a comment names each line, and the build's help must find it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy
from tests.support.packages import other_compiler

_MARK = re.compile(r"/\* @(\w+) \*/")


@dataclass(frozen=True)
class Helped:
    """A build of planted faults: exit status, what was printed, and the help of its JSON."""

    status: int
    output: str
    help: tuple[dict[str, Any], ...]

    def about(self, subject: str) -> dict[str, Any]:
        """The help about one subject, of which there is one."""
        [found] = {json.dumps(each): each for each in self.help if each["subject"] == subject}.values()
        return found


def plant(place: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Write `files`; for each mark in them (`/* @name */`) the place that compilers call it, `FILE:LINE`."""
    marks = {}
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for number, line in enumerate(text.splitlines(), 1):
            marks.update(dict.fromkeys(_MARK.findall(line), f"{path}:{number}"))
    return marks


def build_planted(tree: KernelTree, place: Path, *words: str) -> Helped:
    """Build the module directory `place`; what went wrong is told as far as that is possible (-K)."""
    variables = other_compiler(tree)
    done = kbuildpy("build", place, "-K", "-k", str(tree.objects), "--format", "json", *words, *variables)
    rows = [json.loads(line) for line in done.text.splitlines()]
    help = tuple(each for row in rows for each in row["help"])
    return Helped(done.returncode, done.error_text, help)


def places_of(help: Mapping[str, Any]) -> list[str]:
    """The places of a help, `FILE:LINE` each."""
    return [f"{place['file']}:{place['line']}" for place in help["places"]]

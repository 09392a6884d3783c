# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run` as a user calls it, and its answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.execute import Completed
from kbuildpy.run import run


@dataclass(frozen=True)
class Ran:
    """One run: its JSON objects by module, and the program as it ended."""

    results: dict[str, dict[str, Any]]
    done: Completed

    def kinds(self, name: str) -> list[str]:
        """The kinds of complaints about a module."""
        return [complaint["kind"] for complaint in self.results[name]["complaints"]]

    def log(self, name: str) -> str:
        """The lines that belong to the complaints about a module."""
        return "\n".join(line for complaint in self.results[name]["complaints"] for line in complaint["log"])


def kbuildpy_run(*words: str | Path) -> Completed:
    """The command as a user calls it."""
    return run([sys.executable, "-m", "kbuildpy", "run", *words], check=False, timeout=900)

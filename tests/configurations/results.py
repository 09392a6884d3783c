# SPDX-License-Identifier: GPL-2.0-only
"""What came of the comparisons: a JSON file for each row in `results/`, which is kept with the sources.

It names the kernel that was asked: its release, its compiler, and an identity that changes with its configuration and
its exports. What was compared with another kernel is thrown away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).with_name("results")
PARTS = ("bytes", "modpost", "check", "run")
"""The comparisons, in the order of the table."""

# Where the modules were built that messages are about: another directory each time.
_SCRATCH = re.compile(r"/[^\s\"']*/configurations-\w+/")

Verdict = Literal["equal", "different", "not run"]


@dataclass(frozen=True)
class Outcome:
    """What came of one comparison."""

    verdict: Verdict
    counted: Mapping[str, int] = field(default_factory=dict)
    """What was compared, and how many of it."""
    names: tuple[str, ...] = ()
    """The modules of others that were built."""
    reason: str = ""
    """Why it was not run."""
    differences: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Result:
    """All that is known of a row's kernel."""

    release: str
    compiler: str
    identity: str
    earlier: bool = False
    """Whether it was built when its sets had other options."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Of each of `PARTS` that was tried."""

    def is_done(self, part: str) -> bool:
        """Whether `part` need not be tried again."""
        return part in self.outcomes and self.outcomes[part].verdict == "equal"

    def with_outcome(self, part: str, outcome: Outcome) -> Result:
        """The same with another outcome of `part`."""
        found = {**self.outcomes, part: outcome}
        return replace(self, outcomes={name: found[name] for name in PARTS if name in found})


def read_result(name: str, *, directory: Path = RESULTS) -> Result | None:
    """The result of the row called `name`; None where there is none. Raises `ValueError` for a file that is none."""
    try:
        text = (directory / f"{name}.json").read_text()
    except FileNotFoundError:
        return None
    found = json.loads(text)
    outcomes = {part: _outcome(each) for part, each in found["outcomes"].items()}
    return Result(found["release"], found["compiler"], found["identity"], found["earlier"], outcomes)


def write_result(name: str, result: Result, *, directory: Path = RESULTS) -> None:
    """Keep the result of the row called `name`."""
    directory.mkdir(exist_ok=True)
    facts = asdict(result)
    for outcome in facts["outcomes"].values():
        for key in [key for key, value in outcome.items() if not value]:
            del outcome[key]
    beside = directory / f".{name}.new"
    beside.write_text(_SCRATCH.sub("", f"{json.dumps(facts, indent=1)}\n"))
    beside.replace(directory / f"{name}.json")


def _outcome(found: dict[str, Any]) -> Outcome:
    texts = {key: tuple(found.get(key, ())) for key in ("names", "differences")}
    return Outcome(**{**found, **texts})

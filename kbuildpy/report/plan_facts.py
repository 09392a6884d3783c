# SPDX-License-Identifier: GPL-2.0-only
"""The plan of a module directory for a report: what Kbuild would do. Nothing is built, and nothing is written there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.evaluation import look_at
from kbuildpy.kbuild.plan import plan_to_json
from kbuildpy.kernel.tree import KernelTree


def plan_facts(tree: KernelTree, directory: Path, variables: Mapping[str, str]) -> str:
    """The plan as JSON; where there is none, the reason."""
    try:
        answer = ask_tree(tree, variables=variables, environ=os.environ)
        with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
            plan = look_at(answer, directory.resolve(), Path(scratch), environ=os.environ).plan
    except (KbuildError, OSError) as error:
        return f"There is no plan: {error}\n"
    return f"{json.dumps(plan_to_json(plan), indent=1, ensure_ascii=False)}\n"

# SPDX-License-Identifier: GPL-2.0-only
"""Adds the modules of a plan to a group: as they are, or instrumented."""

from __future__ import annotations

from typing import Any

from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_nodes import add_plan


def add_modules(group: Group, plan: Plan, layout: Layout) -> list[Any]:
    """The nodes of the modules of `plan` in `group`, as `add_plan`. Raises also `KbuildError` for a compiler that
    cannot instrument."""
    if not group.project.coverage:
        return add_plan(group, plan, layout)
    from kbuildpy.scons.instruments import add_instrumented  # (for COVERAGE=1 only)

    return add_instrumented(group, plan, layout)

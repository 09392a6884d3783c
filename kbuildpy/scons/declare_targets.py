# SPDX-License-Identifier: GPL-2.0-only
"""Single targets (`kbuild.single_targets`) as nodes of a group.

`x.ko` and `x.mod.c` are nodes that every plan with that module has: modpost looks at all modules of the group. The
others take a plan of their own, for which make is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.single_targets import is_of_module, module_of
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_nodes import declare_module_object, declare_objects
from kbuildpy.scons.object_nodes import declare_form
from kbuildpy.similar import did_you_mean

Ask = Callable[[Sequence[str]], tuple[Plan, Layout]]


def declare_targets(group: Group, targets: Sequence[str], ask: Ask) -> list[Any]:
    """The nodes of `targets` (below the directory of `group`), in their order; `ask` is called with those that make has
    to be asked for. Raises `UsageError` for one that nothing makes."""
    asked = [name for name in targets if not is_of_module(name)]
    found = {name: [_module_node(group, name)] for name in targets if is_of_module(name)}
    # (up to 5.19 Kbuild makes all of a directory or single targets in it, not both at a time)
    for part in ([name for name in asked if name.endswith("/")], [name for name in asked if not name.endswith("/")]):
        if part:
            found |= _declare_plan(group, *ask(part))
    return list(dict.fromkeys(node for name in targets for node in found[name]))


def _module_node(group: Group, target: str) -> Any:
    names = [layout.relative(module.name) for module, layout in group.modules]
    name = module_of(target)
    if name not in names:
        # (a module may be named without the subdirectory that it is in)
        inside = [other for other in names if Path(other).name == name]
        if len(inside) != 1:
            hint = did_you_mean(name, names) or f"the modules here: {', '.join(names) or 'none'}"
            raise UsageError(f"{target}: no module of {group.directory} is called {Path(name).name}", hint=hint)
        target = inside[0] + target[len(name) :]
    return group.file(f"{group.out}/{target}")


def _declare_plan(group: Group, plan: Plan, layout: Layout) -> dict[str, list[Any]]:
    """The nodes that each of the plan's goals stands for."""
    declare_objects(group, plan, layout)
    env = group.project.answer.environment_for(group.project.environ, layout.evaluated)
    for module in plan.modules:
        declare_module_object(group, module, layout)
    linked = {module.target for module in plan.modules if module.parts}
    forms = {item.target for item in plan.singles}
    for item in plan.singles:
        if item.target not in group.linked:
            group.linked.add(item.target)
            declare_form(group, item, layout, env)
    return {
        goal: [
            group.file(layout.actual(name)) if name in linked or name in forms else group.input(name) for name in names
        ]
        for goal, names in plan.goals
    }

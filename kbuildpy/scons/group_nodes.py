# SPDX-License-Identifier: GPL-2.0-only
"""A group's nodes: `Module.symvers` from all module objects, `modules.order`, and the modules of each plan.

For each object: the object and its `.cmd` file, from its source (`object_nodes`). For each module: `.mod.c`, from its
object, what that was made from, and `Module.symvers`; then `.mod.o` and the `.ko` (`module_nodes`). `Module.symvers`
holds no more than exports, so that a change inside one module leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from SCons.Script import COMMAND_LINE_TARGETS

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.lock import lock_output
from kbuildpy.kbuild.plan import ModulePlan, Plan
from kbuildpy.kbuild.stamps import digest
from kbuildpy.scons.actions import KbuildAction, write_text
from kbuildpy.scons.cleaning import clean_with
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_actions import attach
from kbuildpy.scons.group_modpost import modpost_result
from kbuildpy.scons.help import describe_module
from kbuildpy.scons.modpost_inputs import find_symvers, modpost_description, modpost_recipe, modpost_signature
from kbuildpy.scons.module_nodes import declare_common_object, declare_module
from kbuildpy.scons.named_targets import name_module
from kbuildpy.scons.object_nodes import cmd_nodes, declare_link, declare_object
from kbuildpy.scons.options import is_help_wanted
from kbuildpy.scons.project import KernelProject


def new_group(
    project: KernelProject, directory: str, out: str, *, label: str, neighbours: Mapping[str, Group]
) -> Group:
    """A group without modules, with the nodes of its lists; waits for another build that is at work in `out`.

    The parameters are the fields of `Group`. Raises `KbuildError` where that build waits for this one.
    """
    if not project.dry_run:
        lock_output(Path(out), create=not project.read_only)
    group = Group(project, directory, out, label=label, neighbours=neighbours)
    attach(group, [group.symvers], [], _symvers_action(group))
    attach(group, [group.order], [], group.order_action)
    project.env.Clean(group.symvers, f"{out}/.kbuildpy")
    clean_with(project.env, group.symvers, group.order)
    declare_common_object(group)
    return group


def _symvers_action(group: Group) -> KbuildAction:
    action = KbuildAction(
        lambda target, source: write_text(target[0], modpost_result(group, again=True).symvers),
        title=f"  MODPOST {group.label}Module.symvers",
        signature=modpost_signature(group),
    )
    action.describe = lambda: modpost_description(group)
    action.recipe = modpost_recipe(group)
    return action


def add_plan(group: Group, plan: Plan, layout: Layout) -> list[Any]:
    """Declare every module of `plan`; the nodes of the `.ko`s. The same declaration may come twice, as with SCons'
    own builders. Raises `KbuildError` for another module of the same name."""
    for *same, nodes in group.plans:
        if same == [plan, layout]:
            return list(nodes)
    declare_objects(group, plan, layout)
    for module in plan.modules:
        _refuse_second(group, module)
        declare_module_object(group, module, layout)
        group.modules.append((module, layout))
    _extend_lists(group, plan, layout)
    find_extra_symvers(group)
    made = [declare_module(group, module, layout) for module in plan.modules]
    group.targets += made
    # (the caller may add to the list that it gets)
    group.plans.append((plan, layout, list(made)))
    _name_targets(group, plan, made)
    return made


def declare_objects(group: Group, plan: Plan, layout: Layout) -> None:
    """Declare the objects of `plan` that are not linked from others. Raises `KbuildError` for one that is known as
    another."""
    env = group.project.answer.environment_for(group.project.environ, layout.evaluated)
    for item in plan.objects:
        known = group.objects.get(item.target)
        if known is None:
            group.objects[item.target] = (item, layout)
            declare_object(group, item, layout, env)
        elif known[0] != item:
            raise KbuildError(
                f"{layout.relative(item.target)} would be made in two ways, for two modules",
                hint="an object knows the name of its module: give each module a source of its own",
            )
    if layout.overlay:
        group.overlays[layout.overlay] = None


def declare_module_object(group: Group, module: ModulePlan, layout: Layout) -> None:
    """Declare the object of a module of several objects."""
    if module.parts and module.target not in group.linked:
        group.linked.add(module.target)
        declare_link(
            group, module, layout, group.project.answer.environment_for(group.project.environ, layout.evaluated)
        )


def find_extra_symvers(group: Group) -> None:
    """Look for the files that KBUILD_EXTRA_SYMBOLS names; other groups may have come to make some of them.

    What one plan names counts for all modules of the group: modpost looks at all of them at once. A
    symvers that is not there says nothing (modpost's rule); as a node it would be an error.
    """
    cwd = group.project.answer.working_directory(group.directory)
    nodes = [group.file(find_symvers(group, name, cwd=cwd)) for name in group.extra_symbols]
    new = [node for node in nodes if node not in group.extra_symvers and (node.is_derived() or node.exists())]
    group.extra_symvers += new
    for node in (group.symvers, *group.mod_c) if new else ():
        _add_sources(node, new)


def _name_targets(group: Group, plan: Plan, made: Sequence[Any]) -> None:
    """Let `scons NAME.ko` and `scons NAME` build module NAME, and `scons -h` tell so."""
    env = group.project.env
    if not COMMAND_LINE_TARGETS and not is_help_wanted(env):
        return
    for module, node in zip(plan.modules, made, strict=True):
        name = Path(module.name).name
        describe_module(env, name, node.get_internal_path())
        name_module(env, name, node)


def _extend_lists(group: Group, plan: Plan, layout: Layout) -> None:
    inputs = [group.module_object(module, layout) for module in plan.modules]
    made_from = [node for module in plan.modules for node in cmd_nodes(group, module)]
    _add_sources(group.symvers, [*inputs, *dict.fromkeys(made_from)])
    group.extra_symbols.update(dict.fromkeys(plan.extra_symbols))
    group.order_texts.append(layout.nominal(plan.orders[0][1]))
    group.order_action.signature = digest(group.order_texts).encode()
    for name, text in plan.orders[1:]:
        node = group.file(layout.actual(name))
        attach(group, [node], [], _writer(layout.nominal(text)))
        group.targets.append(node)


def _refuse_second(group: Group, module: ModulePlan) -> None:
    name = Path(module.name).name
    other = group.names.setdefault(name, module)
    if other is not module:
        raise KbuildError(
            f"two modules are called {name}: {other.name}.ko and {module.name}.ko",
            hint="the kernel knows a module by its name alone: rename one of them",
        )


def _add_sources(node: Any, sources: Sequence[Any]) -> None:
    node.add_source(list(sources))
    node.get_executor().add_sources(list(sources))


def _writer(text: str) -> KbuildAction:
    return KbuildAction(lambda target, source: write_text(target[0], text), title="", signature=text)

# SPDX-License-Identifier: GPL-2.0-only
"""From a module's object to its `.ko`, as nodes: `.mod.c`, `.mod.o`, `.module-common.o`, the final link.

The counterpart is scripts/Makefile.modfinal. These sources lie among the output, and debug information must name them
beside the user's: an option that compilers do not record maps the one directory to the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.job import Job, StandIn
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep, ModulePlan
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kbuild.tree_answer import COMMON_OBJECT
from kbuildpy.say import say
from kbuildpy.scons.actions import KbuildAction, write_text
from kbuildpy.scons.check_wanted import check_is_wanted
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_actions import attach, command_action
from kbuildpy.scons.group_modpost import modpost_result
from kbuildpy.scons.hear_objtool import hear_objtool
from kbuildpy.scons.link_module import link_module
from kbuildpy.scons.modpost_inputs import modpost_description, modpost_recipe, modpost_signature
from kbuildpy.scons.note_call import note_call_of
from kbuildpy.scons.object_nodes import cmd_nodes, declare_compile
from kbuildpy.scons.options import is_silent
from kbuildpy.scons.recipe import Recipe, may_be_shared, scripts_read_more, variables_of_compilers


def declare_module(group: Group, module: ModulePlan, layout: Layout) -> Any:
    """The nodes after a module's object; the last one: the `.ko`, or the `.mod.c` under KBUILD_MODPOST_NOFINAL=1."""
    answer = group.project.answer
    below = layout.relative(module.name)
    stand_in = _stand_in(group, f"{below}.mod.c")
    mod_c = _declare_mod_c(group, module, layout, below)
    if _stops_at_modpost(group):
        return mod_c
    steps = answer.steps_for(answer.compile_mod_c, directory=group.directory, module=below)
    job = replace(
        _job(group, f"{below}.mod.o", steps),
        precompiled=group.project.precompiled,
        stand_in=stand_in,
    )
    declare_compile(group, job, mod_c, title=steps[0].quiet)
    return _declare_ko(group, module, layout, below)


def declare_common_object(group: Group) -> None:
    """The object that kernels since 6.12 link into every module."""
    answer = group.project.answer
    if answer.common_object and not _stops_at_modpost(group):
        steps = answer.steps_for(answer.compile_common, directory=group.directory)
        source = group.file(os.path.normpath(os.path.join(_cwd(group), answer.common_source)))  # noqa: PTH118
        declare_compile(group, _job(group, COMMON_OBJECT, steps), source, title=steps[0].quiet)


def _declare_mod_c(group: Group, module: ModulePlan, layout: Layout, below: str) -> Any:
    node = group.file(f"{group.out}/{below}.mod.c")
    # A `.cmd` file tells also when a source changed that left its object the same: srcversion is made of sources.
    sources = [group.module_object(module, layout), *cmd_nodes(group, module), group.symvers, *group.extra_symvers]

    def write(target: list[Any], source: list[Any]) -> None:
        write_text(target[0], modpost_result(group, again=False).mod_c[layout.nominal(module.name)])

    action = KbuildAction(write, title="", signature=digest(modpost_signature(group), group.directory))
    action.recipe = modpost_recipe(group)
    action.describe = lambda: modpost_description(group)
    attach(group, [node], list(dict.fromkeys(sources)), action)
    group.mod_c.append(node)
    return node


def _declare_ko(group: Group, module: ModulePlan, layout: Layout, below: str) -> Any:
    answer = group.project.answer
    steps = answer.steps_for(answer.link, directory=group.directory, module=below)
    module_object = group.module_object(module, layout)
    sources = [module_object, group.file(f"{group.out}/{below}.mod.o")]
    if answer.common_object:
        sources.append(group.file(f"{group.out}/{COMMON_OBJECT}"))
    files = list(answer.link_needs)
    has_types = any(step.rule == "btf_ko" for step in steps)
    if has_types:
        files.append(str(answer.tree.objects / "vmlinux"))
    settings: list[object] = []
    if has_types:
        # (since 6.19 pahole gets its options by the environment)
        settings.append(("PAHOLE_FLAGS", answer.environment.get("PAHOLE_FLAGS")))
    quiet = is_silent(group.project.env)
    checked = check_is_wanted(group.project)
    settings.append(f"the kernel's answer: {'asked' if checked else 'not asked'}")

    commands = [step.command for step in steps]

    def words() -> list[str]:
        given = (*map(repr, settings), group.directory, below, *variables_of_compilers(_environment(group)))
        return [answer.compiler, *given, *group.project.program_digests(commands)]

    recipe = Recipe(group.project.headers_digest, commands, words, lambda: files, root=group.root)

    def named(targets: Sequence[str]) -> list[str]:
        return group.project.named_files(commands, targets, cwd=_cwd(group), find=group.find)

    def may_share() -> bool:
        # (what is only warned of would not be said again)
        files_told = not scripts_read_more(named([f"{group.out}/{below}.ko"]))
        known = may_be_shared(commands) and group.project.knows_programs(commands)
        return known and files_told and not group.project.warns_of_symbols

    recipe.named, recipe.may_share = named, may_share

    def accepts(_: Mapping[str, Any]) -> bool:
        """Whether the kernel would load the module that was taken; if not, the link says why."""
        if checked:
            from kbuildpy.scons.post_build_check import check_built  # (slow: the loader's rules)

            try:
                check_built(group, Path(node.get_abspath()), f"{group.label}{below}.ko")
            except KbuildError:
                return False
        note_call_of(group)
        return True

    recipe.accepts = accepts

    def link(target: list[Any], source: list[Any]) -> None:
        note_call_of(group)
        link_module(
            steps,
            out=group.out,
            directory=group.directory,
            below=below,
            module_object=module_object.get_abspath(),
            cwd=_cwd(group),
            env=_environment(group),
            in_directory=answer.in_directory,
            verbose=group.project.verbose,
            whose=group.whose,
            display="" if quiet else f"{group.label}{below}.ko",
            hear_objtool=recipe.hear_objtool(hear_objtool(group, f"{module.name}.ko", layout)),
            hear=recipe.hear if group.project.shares else None,
        )
        if checked:
            from kbuildpy.scons.post_build_check import check_built  # (slow: the loader's rules)

            if not quiet:
                say(f"  LOADCHK {group.label}{below}.ko")
            check_built(group, Path(target[0].get_abspath()), f"{group.label}{below}.ko")

    name = f"{below}.ko" if answer.in_directory else f"{group.directory}/{below}.ko"
    nominal = Layout(group.directory, group.directory, group.out, answer.working_directory(group.directory))
    node = group.file(f"{group.out}/{below}.ko")
    facts = [*((file, stamp(file)) for file in files), *settings]
    action = command_action(group, link, steps, nominal, name, title=steps[0].quiet, facts=facts)
    action.recipe = recipe
    attach(group, [node], sources, action)
    return node


def _job(group: Group, below: str, steps: tuple[BuildStep, ...]) -> Job:
    """A compilation of something that lies among the output itself.

    Where Kbuild runs in the module's directory, we run in the output's, and its relative names are right already;
    elsewhere the names of the module's directory are replaced.
    """
    answer, directory, out = group.project.answer, group.directory, group.out
    if answer.in_directory:
        layout = Layout(directory, out, out, _cwd(group))
        target = below
    else:
        layout = Layout(directory, directory, out, _cwd(group))
        target = f"{directory}/{below}"
        steps = tuple(BuildStep(step.rule, step.quiet, _moved(step.command, directory, out)) for step in steps)
    extra = layout.out_prefix_map()
    verbose = group.project.verbose
    return Job(target, steps, layout, layout.cwd, _environment(group), extra=extra, verbose=verbose, whose=group.whose)


def _stand_in(group: Group, below: str) -> StandIn | None:
    """What GCC reads in place of `below`; nothing where Kbuild runs in the module's directory: the name is relative
    there, and right.

    Raises `UsageError` where a map would be needed and cannot be written.
    """
    answer = group.project.answer
    if answer.in_directory or "clang" in answer.compiler:
        if "=" in group.directory or "=" in group.out:
            raise UsageError(
                f"{group.directory}: a path with '=': the compiler cannot map {group.out} to it",
                hint="move the module, or the output (-o), to a path without it",
            )
        return None
    path = f"{group.out}/.kbuildpy/{digest(below)}.c"
    return StandIn(f"{group.out}/{below}", path, f"{group.directory}/{below}")


def _moved(command: str, directory: str, out: str) -> str:
    names = rf"(?<![^\s,='\"]){re.escape(directory)}/(?=\S*\.(?:mod|module-common)\.)"
    return re.sub(names, lambda _: f"{out}/", command)


def _cwd(group: Group) -> str:
    answer = group.project.answer
    return group.out if answer.in_directory else answer.working_directory(group.directory)


def _environment(group: Group) -> dict[str, str]:
    env = group.project.answer.environment_for(group.project.environ, group.directory)
    env["PWD"] = _cwd(group)
    return env


def _stops_at_modpost(group: Group) -> bool:
    return dict(group.project.answer.variables).get("KBUILD_MODPOST_NOFINAL") == "1"

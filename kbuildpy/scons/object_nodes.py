# SPDX-License-Identifier: GPL-2.0-only
"""Objects as nodes: compiled, copied, linked from parts, checked."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.cmd_file import CmdFile, cmd_path_of, parse_cmd_file
from kbuildpy.kbuild.compile import check_source, compile_object, link_object
from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kbuild.finished_build import file_state
from kbuildpy.kbuild.included_headers import include_folders, own_headers, search_headers
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import ModulePlan, ObjectPlan, Plan
from kbuildpy.scons.actions import KbuildAction, set_implicit
from kbuildpy.scons.compilation_database import note_compilation
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_actions import attach, command_action
from kbuildpy.scons.group_modpost import prepare_modpost
from kbuildpy.scons.hear_objtool import hear_objtool
from kbuildpy.scons.interrupts import is_interruption
from kbuildpy.scons.object_recipe import object_recipe
from kbuildpy.scons.options import is_silent
from kbuildpy.scons.recipe import Recipe, may_be_shared, scripts_read_more, variables_of_compilers
from kbuildpy.similar import similar_file


def declare_object(group: Group, item: ObjectPlan, layout: Layout, env: dict[str, str]) -> None:
    """The nodes for one object of a plan: the object and its `.cmd` file.

    Raises `KbuildError` for an object that nothing makes.
    """
    if not item.source and group.project.read_only:
        return
    if not item.source:
        name = layout.relative(item.target)
        source = Path(name).with_suffix(".c")
        meant = similar_file(Path(group.directory, source), (".c", ".S", ".rs"))
        raise KbuildError(
            f"{group.directory}: no rule to make {name}",
            hint=f"is {source} missing, or misspelled in the Kbuild file? {meant}".rstrip(),
        )
    if not item.steps:
        return  # an object that came with the sources is used where it is
    source = group.file(layout.find(layout.absolute(item.source)))
    title = item.steps[0].quiet
    if item.steps[0].rule == "copy":
        action = command_action(group, _copy, item.steps, layout, item.target, title=title)
        attach(group, [group.file(layout.actual(item.target))], [source], action)
        return
    forced = [step for step in item.steps if step.rule == "force_checksrc"]
    steps = tuple(step for step in item.steps if step not in forced)
    verbose = group.project.verbose
    checks = f"CHECK   {group.label}{layout.relative(item.source)}"
    job = Job(
        item.target,
        steps,
        layout,
        layout.cwd,
        env,
        extra=layout.prefix_map(),
        verbose=verbose,
        whose=group.whose,
        repeats=group.project.answer.repeats_headers,
        hear_objtool=hear_objtool(group, item.target, layout),
        check_line="" if is_silent(group.project.env) else f"  {checks}",
        precompiled=group.project.precompiled_sources if item.steps[0].rule == "cc_o_c" else None,
        source=source.get_abspath(),
        early=_early(group, item, layout),
    )
    targets = declare_compile(group, job, source, title=title, headers=lambda: _first_headers(group, item, layout))
    if "SCons.Tool.compilation_db" in sys.modules and item.steps[0].rule == "cc_o_c":
        note_compilation(group.project.env, targets[0], source, item, layout, group.project.answer)
    for step in forced:
        _declare_check(group, replace(job, steps=(step,)), source, title=checks)


def _early(group: Group, item: ObjectPlan, layout: Layout) -> EarlyCompilers | None:
    """What may have the object of `item` already: plain objects only, whose commands run as the plan has them."""
    project = group.project
    is_plain = not (layout.overlay or layout.prefix_map() or project.precompiled_sources or project.coverage)
    return project.early if item.steps[0].rule == "cc_o_c" and is_plain and not project.verbose else None


def declare_form(group: Group, item: ObjectPlan, layout: Layout, env: dict[str, str]) -> None:
    """The nodes for another form of a source (`x.i`), and its `.cmd` file."""
    source = group.file(layout.find(layout.absolute(item.source)))
    job = Job(
        item.target,
        item.steps,
        layout,
        layout.cwd,
        env,
        extra=layout.prefix_map(),
        verbose=group.project.verbose,
        whose=group.whose,
        repeats=group.project.answer.repeats_headers,
    )
    title = item.steps[0].quiet
    declare_compile(group, job, source, title=title, headers=lambda: _first_headers(group, item, layout))


def declare_unmade(group: Group, plan: Plan, layout: Layout, *, changed: Collection[str]) -> None:
    """In a run that must not write, rules of the Kbuild file's own do not run: show the files that they would have to
    make.

    `changed` are sources that were not copied yet; a change of any other file may concern every object.
    """
    sources = {layout.relative(item.source) for item in plan.objects if item.source}
    for item in plan.objects:
        name = item.source or item.target
        path = layout.find(layout.absolute(name)) if item.source else layout.actual(name)
        if layout.relative(name) in changed or not sources.issuperset(changed):
            group.project.outdate(layout.actual(item.target))
        made = not item.steps and item.target in plan.needed and changed
        if (made or not os.path.exists(path)) and not group.file(path).has_builder():  # noqa: PTH110
            action = KbuildAction(lambda target, source: None, title=f"  MAKE    {layout.relative(name)}", signature="")
            attach(group, [group.file(path)], [], action)


def declare_compile(
    group: Group, job: Job, source: Any, *, title: str, headers: Callable[[], list[Any]] = list
) -> list[Any]:
    """The nodes of an object and its `.cmd` file, compiled from `source` by `job`.

    `headers` are the module's own that it is expected to include.
    """
    targets = [group.file(str(job.object_file)), group.file(str(job.cmd_path))]

    def compile_it(target: list[Any], _: list[Any]) -> None:
        prepare_modpost(group)
        early, source_state = job.early, file_state(job.source) if job.early else None
        began = early.began_ns(job.object_file) if early else time.time_ns()
        try:
            made_from = compile_object(
                _heard(group, job, recipe), symbols_of=group.project.headers.of, is_own=group.is_own
            )
        except CommandError as error:
            if not is_interruption(error.returncode):
                from kbuildpy.scons.advise_compile import advise_compile  # (for errors only)

                advise_compile(group, job)
            raise
        with group.lock:
            if early and source_state:
                early.note(job.source, source_state, job.target, job.layout, job.env)
            group.freshness.note(str(job.object_file), str(job.cmd_path), made_from, began_ns=began)
            # The headers that the compiler read replace those that were guessed; SCons stores them with the target.
            _set_included(targets, _own_nodes(group, made_from, job.layout))

    def take(made_from: CmdFile) -> None:
        with group.lock:
            group.freshness.note(str(job.object_file), str(job.cmd_path), made_from, began_ns=time.time_ns())
            _set_included(targets, _own_nodes(group, made_from, job.layout))

    recipe = object_recipe(group, job, facts=group.project.made_fast, take=take)
    action = command_action(
        group, compile_it, job.steps, job.layout, job.target, title=title, facts=[*job.extra, *group.project.made_fast]
    )
    action.recipe = recipe
    action.headers = headers
    attach(group, targets, [source], action)
    set_implicit(targets, headers())
    group.project.track(str(job.object_file), str(job.cmd_path), group.freshness)
    return targets


def declare_link(group: Group, module: ModulePlan, layout: Layout, env: dict[str, str]) -> None:
    """The node of a composite module's object, linked from its parts; its `.mod` file lists them for the linker."""
    parts = [group.input(name) for name in module.parts]
    names = [part.get_abspath() for part in parts]
    listing = Path(layout.actual(f"{module.name}.mod"))
    verbose = group.project.verbose
    # (Up to 5.18 the command names the parts. Some come with the sources, or a rule made them beside those.)
    ours = tuple(name for name, path in zip(module.parts, names, strict=True) if path == layout.actual(name))
    job = Job(
        module.target,
        module.steps,
        layout,
        layout.cwd,
        env,
        outputs=ours,
        verbose=verbose,
        whose=group.whose,
        hear_objtool=hear_objtool(group, module.target, layout),
    )

    def write_listing() -> None:
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in names))

    def link(target: list[Any], source: list[Any]) -> None:
        write_listing()
        link_object(_heard(group, job, recipe))

    def words() -> list[str]:
        settings = (*module.parts, repr(layout), *variables_of_compilers(env))
        return [group.project.answer.compiler, *settings, *group.project.program_digests(commands)]

    commands = [step.command for step in job.steps]
    recipe = Recipe(group.project.headers_digest, commands, words, root=group.root)

    def named(targets: Sequence[str]) -> list[str]:
        return group.project.named_files(commands, targets, cwd=layout.cwd, find=layout.find)

    recipe.named = named

    def may_share() -> bool:
        files_told = not scripts_read_more(named([layout.actual(module.target)]))
        return files_told and may_be_shared(commands) and group.project.knows_programs(commands)

    recipe.may_share = may_share

    def accepts(_: Mapping[str, Any]) -> bool:
        write_listing()
        return True

    recipe.accepts = accepts

    title = module.steps[0].quiet
    action = command_action(group, link, module.steps, layout, module.target, title=title, facts=module.parts)
    action.recipe = recipe
    node = group.file(layout.actual(module.target))
    attach(group, [node], parts, action)
    if group.project.read_only:
        group.project.env.Clean(node, str(listing))


def _heard(group: Group, job: Job, recipe: Recipe) -> Job:
    """`job`, where its output is stored for others with `recipe` knowing what its programs print."""
    if not group.project.shares:
        return job
    listener = job.hear_objtool
    return replace(job, hear=recipe.hear, hear_objtool=listener and recipe.hear_objtool(listener))


def _declare_check(group: Group, job: Job, source: Any, *, title: str) -> None:
    """C=2: look at the source in every build, whether it is compiled or not."""
    node = group.file(f"{job.object_file}.checked")

    def check(target: list[Any], source: list[Any]) -> None:
        check_source(job)

    action = command_action(group, check, job.steps, job.layout, job.target, title=title)
    attach(group, [node], [source], action)
    node.set_always_build(True)
    node.set_pseudo(True)
    group.targets.append(node)


def _first_headers(group: Group, item: ObjectPlan, layout: Layout) -> list[Any]:
    """The module's own headers of an object: by its `.cmd` file, or, without one, by reading the source."""
    object_file = layout.actual(item.target)
    names = group.freshness.own_headers(object_file, str(cmd_path_of(Path(object_file))))
    if names is None:
        folders = include_folders(item.steps[0].command, cwd=layout.cwd, is_own=group.is_own)
        source = layout.absolute(item.source)
        names = search_headers(source, folders, exists=lambda path: _will_exist(group, path, layout), find=layout.find)
    return _header_nodes(group, names, layout)


def cmd_nodes(group: Group, module: ModulePlan) -> list[Any]:
    """The nodes of the `.cmd` files of a module's compiled objects; of objects that make made for the Kbuild file's own
    rules, the sources that they were made from."""
    if module.target not in group.cmd_nodes:
        group.cmd_nodes[module.target] = _find_cmd_nodes(group, module)
    return group.cmd_nodes[module.target]


def _find_cmd_nodes(group: Group, module: ModulePlan) -> list[Any]:
    found = []
    for item, layout in (group.objects[name] for name in module.objects):
        if item.steps and item.steps[0].rule != "copy":
            found.append(group.file(str(cmd_path_of(Path(layout.actual(item.target))))))
        elif not item.steps and layout.overlay:
            found += _own_sources(group, group.cmd_path(item.target), layout)
    return found


def _own_sources(group: Group, cmd_path: Path, layout: Layout) -> list[Any]:
    """The nodes of the module's own files that an object was made from, as a `.cmd` file tells that make wrote."""
    try:
        made_from = parse_cmd_file(cmd_path.read_text(errors="surrogateescape"))
    except OSError:
        return []
    names = own_headers([made_from.source, *made_from.headers], cwd=layout.cwd, is_own=group.is_own)
    return _header_nodes(group, names, layout)


def _own_nodes(group: Group, made_from: CmdFile, layout: Layout) -> list[Any]:
    return _header_nodes(group, own_headers(made_from.headers, cwd=layout.cwd, is_own=group.is_own), layout)


def _header_nodes(group: Group, names: Iterable[str], layout: Layout) -> list[Any]:
    known = group.header_nodes.setdefault(layout.overlay, {})
    nodes = []
    for name in names:
        if name not in known and _will_exist(group, name, layout):
            known[name] = group.file(layout.find(name))
        if name in known:
            nodes.append(known[name])
    return nodes


def _will_exist(group: Group, path: str, layout: Layout) -> bool:
    if not group.is_own(path):
        return False
    return os.path.isfile(layout.find(path)) or group.file(path).is_derived()  # noqa: PTH113


def _set_included(targets: list[Any], nodes: list[Any]) -> None:
    """Let `targets`, which were just compiled, depend on the headers that were included."""
    for node in nodes:
        # SCons has looked at the headers that it knew of before it compiled; it will store something of all of them.
        if not hasattr(node.get_ninfo(), "csig"):
            node.get_csig()
            node.get_ninfo().update(node)
    set_implicit(targets, nodes)


def _copy(target: list[Any], source: list[Any]) -> None:
    path = Path(target[0].get_abspath())
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source[0].get_abspath(), path)

# SPDX-License-Identifier: GPL-2.0-only
"""`env.KernelModule()`: a module that an SConstruct declares, as nodes.

It becomes a Kbuild file that says the same, which is evaluated like any other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.ask_directory import ask_directory
from kbuildpy.kbuild.call_note import DeclaredKbuild
from kbuildpy.kbuild.declared import kbuild_file_text
from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.evaluation import Evaluation
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.scons.add_modules import add_modules
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import stop_on_error
from kbuildpy.scons.call_arguments import name_and_sources, refuse_missing
from kbuildpy.scons.declaration_place import declaration_place
from kbuildpy.scons.declared_again import declared_again, for_kernel
from kbuildpy.scons.find_group import find_group
from kbuildpy.scons.find_project import find_project, output_root, variant_output
from kbuildpy.scons.flags import Flags, flags_of
from kbuildpy.scons.group import Question
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.unread import warn_of_unread
from kbuildpy.scons.variables import FLAG_NAMES, has_flags


def kernel_module(env: Any, target: Any = None, source: Any = None, *, name: Any = None, **given: Any) -> list[Any]:
    """Declare module `target` made from `source` (names or nodes; default `target`.c); the node of its `.ko`.

    As with SCons' own builders a single source needs no target: `KernelModule("hello.c")` declares hello. `name` is
    another word for `target`.

    Flags for its own objects are those of the environment, or given here in their place: CCFLAGS, CFLAGS, CPPFLAGS,
    CPPDEFINES, CPPPATH, ASFLAGS (ASPPFLAGS), LINKFLAGS (for ld). Every other keyword is a variable for Kbuild.
    """
    return stop_on_error(lambda: _kernel_module(env, name if target is None else target, source, given))


def _kernel_module(env: Any, target: Any, source: Any, given: Mapping[str, Any]) -> list[Any]:
    name, nodes = name_and_sources(env, target, source)
    refuse_missing(name, nodes)
    variables = {key: value for key, value in given.items() if key not in FLAG_NAMES}
    # (the environment may have others when the module is declared again)
    flags = flags_of(env, given) if has_flags(env, given) else None

    def declare(kernel: str) -> list[Any]:
        return _declare(env, name, nodes, for_kernel(variables, kernel) if kernel else variables, flags)

    return declared_again(env, declare)


def _declare(env: Any, name: str, nodes: Sequence[Any], variables: Mapping[str, Any], flags: Flags | None) -> list[Any]:
    """Declare module `name`, made from `nodes` with `flags` of its own."""
    project = find_project(env, variables)
    session = session_of(env)
    here = env.Dir(".")
    variant = here.srcnode() != here
    folder = Path(here.srcnode().get_abspath()).resolve()
    inside = not variant and (folder == session.top or session.top in folder.parents)
    directory = session.top if inside else folder
    out = variant_output(env, here, project) if variant else output_root(env, project, variables)
    paths, coming = _source_paths(nodes, folder)
    text = _kbuild_file_text(name, paths, flags, probes=project.probes)
    below = str(folder.relative_to(directory)) if folder != directory else ""
    group = find_group(session, project, str(directory), str(out))
    # (a module or a folder may be called like any file of ours, or like each other)
    state = out / ".kbuildpy/declared" / digest(below) / name
    plan = _ask_declared(project, directory, below=below, text=text, state=state, coming=coming)
    warn_of_unread(session, project, plan, variables)
    layout = Layout(str(directory), str(directory), str(out), project.answer.working_directory(str(directory)))

    def ask(goals: Sequence[str]) -> tuple[Plan, Layout]:
        state_of = state / name
        return (
            _ask_declared(project, directory, below=below, text=text, state=state_of, coming=coming, goals=goals),
            layout,
        )

    kbuild_file = _declared_file(project, state, text)

    def evaluate_for(answer: TreeAnswer, _: Path) -> Evaluation:
        environ = project.environ
        return Evaluation(
            ask_directory(
                answer, directory, environ=environ, below=below, kbuild_file=kbuild_file, coming_sources=coming
            ),
            layout,
        )

    if project.tells_reasons:
        question = DirectoryQuestion(project.answer, directory, project.environ, below, kbuild_file, tuple(coming))
        place = declaration_place().rstrip(": ")
        group.declarations.update((item.target, (question, place)) for item in plan.objects)
    stems = (layout.relative(item.target).removesuffix(".o") for item in plan.objects)
    group.questions.append(Question(ask, frozenset(stems), plan, evaluate_for))
    group.declared.append(DeclaredKbuild(below, name, text, tuple(coming)))
    return add_modules(group, plan, layout)


def _kbuild_file_text(name: str, paths: Sequence[str], flags: Flags | None, *, probes: str) -> str:
    found = (f"-I{probes}",) if probes else ()
    if flags is None:
        return kbuild_file_text(name, paths, ccflags=found, asflags=found)
    compile, assemble = (*flags.compile, *found), (*flags.assemble, *found)
    return kbuild_file_text(name, paths, ccflags=compile, asflags=assemble, ldflags=flags.link)


def _ask_declared(
    project: KernelProject,
    directory: Path,
    *,
    below: str,
    text: str,
    state: Path,
    coming: Sequence[str],
    goals: Sequence[str] = (),
) -> Plan:
    """Evaluate a declared module's Kbuild file, kept as `state`/Kbuild, for the module or for single targets."""
    dry = project.read_only
    kbuild_file = _declared_file(project, state, text)
    known = kbuild_file.read_text(errors="surrogateescape") if kbuild_file.is_file() else None
    if known != text:
        kbuild_file.parent.mkdir(parents=True, exist_ok=True)
        kbuild_file.write_text(text, errors="surrogateescape")
    return ask_directory(
        project.answer,
        directory,
        environ=project.environ,
        below=below,
        cache=None if dry else state / ("targets.json" if goals else "plan.json"),
        kbuild_file=kbuild_file,
        coming_sources=coming,
        goals=goals,
    )


def _declared_file(project: KernelProject, state: Path, text: str) -> Path:
    return (cache_directory() / "declared" / digest(text) if project.read_only else state) / "Kbuild"


def _source_paths(nodes: Sequence[Any], folder: Path) -> tuple[list[str], list[str]]:
    """The sources as Kbuild names them, below `folder`; and those of them that the build makes itself."""
    paths, coming = [], []
    for node in nodes:
        derived = node.is_derived()
        real = node.get_abspath() if derived else node.srcnode().get_abspath()
        path = os.path.relpath(real, folder)
        paths.append(path)
        if derived:
            coming += [real, path]
    return paths, coming

"""`env.KernelModule()` and `env.Kbuild()`: what users call.

Both end in a plan whose modules become nodes (`group`): a declared module by way of a Kbuild file that says
the same, a directory by its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import SCons.Errors

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.ask_directory import ask_directory
from kbuildpy.kbuild.check_paths import check_output_name
from kbuildpy.kbuild.declared import kbuild_file_text
from kbuildpy.kbuild.evaluation import evaluate, look_at
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.overlay_files import make_removable
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.source_copy import changed_sources
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.say import complain, say
from kbuildpy.scons.calls import kbuild_directories, name_and_sources, refuse_missing
from kbuildpy.scons.group import Group
from kbuildpy.scons.keywords import directory_path
from kbuildpy.scons.objects import declare_unmade
from kbuildpy.scons.session import Project, Session, is_dry_run, job_count
from kbuildpy.scons.variables import (
    FLAG_NAMES,
    KNOWN_NAMES,
    build_environment,
    environment_variables,
    has_flags,
    make_variables,
    text_of,
)


def kernel_module(env: Any, target: Any = None, source: Any = None, *, name: Any = None, **given: Any) -> list[Any]:
    """Declare module `target` made from `source` (names or nodes; default `target`.c); the node of its `.ko`.

    As with SCons' own builders a single source needs no target: `KernelModule("hello.c")` declares hello. `name` is
    another word for `target`.

    Flags for its own objects are those of the environment, or given here in their place: CCFLAGS, CFLAGS, CPPFLAGS,
    CPPDEFINES, CPPPATH, ASFLAGS (ASPPFLAGS), LINKFLAGS (for ld). Every other keyword is a variable for Kbuild.
    """
    return stop_on_error(lambda: _kernel_module(env, name if target is None else target, source, given))


def kbuild(env: Any, directory: Any = None, *, source: Any = None, target: Any = None, **variables: Any) -> list[Any]:
    """Declare every module of the Kbuild file in `directory` (or in several); the nodes of their `.ko`s. `source` is
    another word for `directory`, and `directory` may be the Kbuild file itself.

    Keywords are variables for Kbuild, as on make's command line (`HDAPS=1`); KDIR chooses another kernel tree.
    """

    def declare() -> list[Any]:
        if target is not None:
            hint = "the Kbuild file names the modules; KBUILD_OUT, or a VariantDir(), says where they come out"
            raise UsageError(f"Kbuild: target={target!r}: a directory has no target", hint=hint)
        places = kbuild_directories(env, source if directory is None else directory)
        return [node for place in places for node in _kbuild(env, place, variables)]

    return stop_on_error(declare)


def declare_directory(
    env: Any,
    directory: Path,
    out: Path,
    *,
    variables: Mapping[str, Any],
    label: str = "",
    on_empty: Callable[[KbuildError], None] | None = None,
) -> Group:
    """The group of every module of the Kbuild file in `directory`, with output in `out`; where there is no module,
    `on_empty` is called with the reasons (default: they are printed).

    Raises `KbuildError`.
    """
    project = find_project(env, variables)
    group = _group(Session.of(env), project, str(directory), str(out), label=label)
    plan, layout = _evaluate(env, project, directory, out, label=label)
    _warn_of_unread(Session.of(env), project, plan, variables)
    if not plan.modules:
        empty = _explain_empty(project, directory, plan)
        if on_empty is not None:
            on_empty(empty)
        else:
            complain("\n  ".join([f"kbuildpy: {empty.message}", *empty.hint.split("\n")]), whose=label.rstrip("/"))
    if plan.custom and project.read_only:
        declare_unmade(group, plan, layout, changed=changed_sources(directory, out))
    group.add(plan, layout)
    return group


def _kernel_module(env: Any, target: Any, source: Any, given: Mapping[str, Any]) -> list[Any]:
    name, nodes = name_and_sources(env, target, source)
    refuse_missing(name, nodes)
    variables = {key: value for key, value in given.items() if key not in FLAG_NAMES}
    project = find_project(env, variables)
    session = Session.of(env)
    here = env.Dir(".")
    variant = here.srcnode() != here
    folder = Path(here.srcnode().get_abspath()).resolve()
    inside = not variant and (folder == session.top or session.top in folder.parents)
    directory = session.top if inside else folder
    out = Path(here.get_abspath(), project.tree.release) if variant else _out_root(env, project, variables)
    paths, coming = _source_paths(nodes, folder)
    text = _kbuild_file_text(env, name, paths, given)
    below = str(folder.relative_to(directory)) if folder != directory else ""
    group = _group(session, project, str(directory), str(out), label="")
    state = out / ".kbuildpy" / below
    plan = _ask_declared(env, project, directory, below=below, text=text, state=state / name, coming=coming)
    _warn_of_unread(session, project, plan, variables)
    layout = Layout(str(directory), str(directory), str(out), project.answer.working_directory(str(directory)))
    return group.add(plan, layout)


def _kbuild_file_text(env: Any, name: str, paths: Sequence[str], given: Mapping[str, Any]) -> str:
    if not has_flags(env, given):
        return kbuild_file_text(name, paths)
    from kbuildpy.scons.flags import flags_of

    flags = flags_of(env, given)
    return kbuild_file_text(name, paths, ccflags=flags.compile, asflags=flags.assemble, ldflags=flags.link)


def _ask_declared(
    env: Any, project: Project, directory: Path, *, below: str, text: str, state: Path, coming: Sequence[str]
) -> Plan:
    """Evaluate a declared module's Kbuild file, kept as `state`/Kbuild."""
    dry = project.read_only
    kbuild_file = (cache_directory() / "declared" / digest(text) if dry else state) / "Kbuild"
    known = kbuild_file.read_text(errors="surrogateescape") if kbuild_file.is_file() else None
    if known != text:
        kbuild_file.parent.mkdir(parents=True, exist_ok=True)
        kbuild_file.write_text(text, errors="surrogateescape")
    return ask_directory(
        project.answer,
        directory,
        environ=project.environ,
        below=below,
        cache=None if dry else state / "plan.json",
        kbuild_file=kbuild_file,
        coming_sources=coming,
    )


def _kbuild(env: Any, node: Any, variables: Mapping[str, Any]) -> list[Any]:
    project = find_project(env, variables)
    session = Session.of(env)
    source = node.srcnode()
    folder = Path(source.get_abspath())
    folder = folder.resolve() if folder.is_dir() else folder
    if source != node:
        out = Path(node.get_abspath()) / project.tree.release
    else:
        inside = session.top in folder.parents
        below = folder.relative_to(session.top) if inside else Path(folder.name)
        out = _out_root(env, project, variables) / ("" if folder == session.top else below)
    group = declare_directory(env, folder, out, variables=variables)
    return [env.fs.File(f"{out}/{layout.relative(module.name)}.ko") for module, layout in group.modules]


def _explain_empty(project: Project, directory: Path, plan: Plan) -> KbuildError:
    from kbuildpy.scaffold.no_modules import no_modules  # (next to never needed)

    given, config = dict(project.answer.variables), project.tree.config

    def value_of(symbol: str) -> str:
        return given.get(symbol, config.get(symbol) or project.environ.get(symbol, ""))

    return no_modules(
        directory, plan.makefiles, release=project.tree.release, value_of=value_of, command="kbuildpy build"
    )


def _evaluate(env: Any, project: Project, directory: Path, out: Path, *, label: str = "") -> tuple[Plan, Layout]:
    if project.read_only:
        found = look_at(project.answer, directory, out, environ=project.environ)
        if found.layout.overlay and not is_dry_run(env):
            make_removable(found.layout.overlay)
    else:
        found = evaluate(project.answer, directory, out, environ=project.environ, jobs=job_count(env))
    if found.refusal and Session.of(env).say_once(found.refusal):
        complain(
            f"kbuildpy: no overlay over {directory} on this system ({found.refusal}): the Kbuild file's own rules run"
            " in a copy of it, and what they write may name the copy"
        )
    if found.printed.strip():
        say(found.printed.rstrip())
    if found.plan.warnings.strip():
        complain(found.plan.warnings.rstrip(), whose=label.rstrip("/"))
    return found.plan, found.layout


def _warn_of_unread(session: Session, project: Project, plan: Plan, variables: Mapping[str, Any]) -> None:
    if session.unread_arguments or not KNOWN_NAMES.issuperset(variables):
        from kbuildpy.scons.unread import warn_of_unread

        warn_of_unread(session, project, plan, variables)


def find_project(env: Any, variables: Mapping[str, Any]) -> Project:
    """The project that `variables` (a declaration's keywords), the command line and `env` choose."""
    from SCons.Script import ARGUMENTS

    session = Session.of(env)

    def chosen(name: str) -> str:
        values = (place.get(name) for place in (variables, ARGUMENTS, env, os.environ))
        return text_of(next((value for value in values if value is not None), ""))

    kdir, release = _named_kernel(env, variables, ARGUMENTS)
    tree = session.find_tree(kdir, release, quiet=bool(env.GetOption("silent")))
    environ = build_environment(env, session.default_environment)
    given = make_variables({**environment_variables(env), **ARGUMENTS}, variables)
    # To Kbuild CHECK is the program that C=1 runs; 0 is none.
    check = chosen("CHECK") != "0"
    if not check:
        given.pop("CHECK", None)
        environ.pop("CHECK", None)
    btf_threads = chosen("BTF_THREADS") not in ("", "0")
    for place in (given, environ):
        place.pop("BTF_THREADS", None)
    return session.project(env, tree, given, environ, check=check, btf_threads=btf_threads)


def _named_kernel(env: Any, variables: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[str, str]:
    """KDIR and KERNELRELEASE as the first place has them that has either: one in the environment says nothing where the
    command line names a kernel."""
    for place in (variables, arguments, env, {"KDIR": os.environ.get("KDIR")}):
        kdir, release = place.get("KDIR"), str(place.get("KERNELRELEASE") or "")
        if kdir or release:
            typed = place is not variables and place is not env
            return directory_path(env, kdir, typed=typed, call="KDIR") if kdir else "", release
    return "", ""


def _group(session: Session, project: Project, directory: str, out: str, *, label: str) -> Group:
    group = session.groups.get(out)
    if group is None:
        check_output_name(Path(out))
        group = session.groups[out] = Group(project, directory, out, label=label)
        for other in session.groups.values():
            other.find_extra_symvers()
    elif group.directory != directory or group.project is not project:
        raise KbuildError(
            f"{out}: modules of {_difference(group, directory, project)} would both be built there",
            hint="give the two the same variables, or one of them another place (KBUILD_OUT, or a variant directory)",
        )
    return group


def _difference(group: Group, directory: str, project: Project) -> str:
    """How what `group` is built for differs from `directory` and `project`, in words."""
    if group.directory != directory:
        return f"{group.directory} and of {directory}"
    one, other = group.project, project
    if one.tree.objects != other.tree.objects:
        return f"{directory} for {one.tree.objects} and for {other.tree.objects}"
    if one.check != other.check:
        return f"{directory} with and without CHECK=0"
    names = [
        f"{name}={here.get(name, '')} and {name}={there.get(name, '')}"
        for here, there in (
            (dict(one.answer.variables), dict(other.answer.variables)),
            (one.environ, other.environ),
        )
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    return f"{directory} with {', '.join(names[:3]) or 'different variables'}"


def _out_root(env: Any, project: Project, variables: Mapping[str, Any]) -> Path:
    from SCons.Script import ARGUMENTS

    given, typed = variables.get("KBUILD_OUT"), ARGUMENTS.get("KBUILD_OUT")
    if given is None and typed is not None:
        root = directory_path(env, typed, typed=True, call="KBUILD_OUT")
    else:
        root = directory_path(env, given or env.get("KBUILD_OUT") or "#build", typed=False, call="KBUILD_OUT")
    return Path(root) / project.tree.release


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


def stop_on_error(declare: Any) -> list[Any]:
    """Turn an error into SCons' own way of stopping: its place and message, no traceback, exit status 2."""
    try:
        found: list[Any] = declare()
    except KbuildError as error:
        from kbuildpy.scons.where import declaration_place

        hint = f"\n  {error.hint}" if error.hint else ""
        raise SCons.Errors.StopError(f"kbuildpy: {declaration_place()}{error.message}{hint}") from error
    return found

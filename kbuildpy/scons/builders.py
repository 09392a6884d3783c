"""`env.KernelModule()` and `env.Kbuild()`: what users call.

Both end in a plan whose modules become nodes (`group`): a declared module by way of a Kbuild file that says
the same, a directory by its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import SCons.Errors

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.declared import kbuild_file_text
from kbuildpy.kbuild.directory import ask_directory
from kbuildpy.kbuild.generated import changed_sources, copy_path, copy_sources, make_sources, writes_when_read
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.question import check_output_name, digest
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.say import complain, say
from kbuildpy.scons.group import Group
from kbuildpy.scons.objects import declare_unmade
from kbuildpy.scons.session import Project, Session, job_count
from kbuildpy.scons.variables import build_environment, make_variables

_FLAG_NAMES = ("CCFLAGS", "CFLAGS", "CPPPATH", "CPPDEFINES", "ASFLAGS", "LINKFLAGS")


def kernel_module(env: Any, name: str, source: Any = None, **given: Any) -> list[Any]:
    """Declare module `name` made from `source` (names or nodes; default `name`.c); the node of its `.ko`.

    Flags for its own objects: CCFLAGS, CFLAGS, CPPPATH, CPPDEFINES, ASFLAGS, LINKFLAGS; only those given here count,
    an environment's defaults are for programs. Every other keyword is a variable for Kbuild.
    """
    return stop_on_error(lambda: _kernel_module(env, name, source, given))


def kbuild(env: Any, directory: Any, **variables: Any) -> list[Any]:
    """Declare every module of an existing Kbuild file; the nodes of their `.ko`s.

    Keywords are variables for Kbuild, as on make's command line (`HDAPS=1`); KDIR chooses another kernel tree.
    """
    return stop_on_error(lambda: _kbuild(env, directory, variables))


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
    plan, layout = _evaluate(env, project, directory, out)
    if not plan.modules:
        empty = _explain_empty(project, directory, plan)
        if on_empty is not None:
            on_empty(empty)
        else:
            complain("\n  ".join([f"kbuildpy: {empty.message}", *empty.hint.split("\n")]))
    if plan.custom and project.read_only:
        declare_unmade(group, plan, layout, changed=changed_sources(directory, out))
    group.add(plan, layout)
    return group


def _kernel_module(env: Any, name: str, source: Any, given: Mapping[str, Any]) -> list[Any]:
    variables = {key: value for key, value in given.items() if key not in _FLAG_NAMES}
    project = find_project(env, variables)
    session = Session.of(env)
    here = env.Dir(".")
    variant = here.srcnode() != here
    folder = Path(here.srcnode().get_abspath()).resolve()
    inside = not variant and (folder == session.top or session.top in folder.parents)
    directory = session.top if inside else folder
    out = Path(here.get_abspath(), project.tree.release) if variant else _out_root(env, project)
    nodes = env.arg2nodes(source if source is not None else [f"{name}.c"], env.fs.File)
    paths, coming = _source_paths(nodes, folder)
    text = kbuild_file_text(
        name,
        paths,
        ccflags=_compiler_flags(env, given),
        asflags=_flat(env, given.get("ASFLAGS", [])),
        ldflags=_flat(env, given.get("LINKFLAGS", [])),
    )
    below = str(folder.relative_to(directory)) if folder != directory else ""
    group = _group(session, project, str(directory), str(out), label="")
    state = out / ".kbuildpy" / below
    plan = _ask_declared(env, project, directory, below=below, text=text, state=state / name, coming=coming)
    layout = Layout(str(directory), str(directory), str(out), project.answer.working_directory(str(directory)))
    return group.add(plan, layout)


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


def _kbuild(env: Any, directory: Any, variables: Mapping[str, Any]) -> list[Any]:
    project = find_project(env, variables)
    session = Session.of(env)
    node = env.Dir(directory)
    source = node.srcnode()
    folder = Path(source.get_abspath())
    folder = folder.resolve() if folder.is_dir() else folder
    if source != node:
        out = Path(node.get_abspath()) / project.tree.release
    else:
        inside = session.top in folder.parents
        below = folder.relative_to(session.top) if inside else Path(folder.name)
        out = _out_root(env, project) / ("" if folder == session.top else below)
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


def _evaluate(env: Any, project: Project, directory: Path, out: Path) -> tuple[Plan, Layout]:
    answer = project.answer
    state = out / ".kbuildpy"
    cache = None if project.read_only else state / "plan.json"
    if not project.read_only and writes_when_read(directory):
        plan = ask_directory(answer, copy_sources(directory, out), environ=project.environ)
        needed = tuple(name.replace(plan.directory, str(directory)) for name in plan.needed)
        plan = replace(plan, directory=str(directory), needed=needed, custom=True)
    else:
        plan = ask_directory(answer, directory, environ=project.environ, cache=cache)
    evaluated = directory
    if plan.custom and project.read_only:
        copy = copy_path(directory, out)
        if copy.is_dir():
            evaluated = copy
            plan = ask_directory(answer, copy, environ=project.environ)
    elif plan.custom:
        evaluated, printed = make_sources(answer, plan, out, environ=project.environ, jobs=job_count(env))
        if printed.strip():
            say(printed.rstrip())
        plan = ask_directory(answer, evaluated, environ=project.environ, cache=state / "generated.json")
        plan = replace(plan, warnings=plan.warnings.replace(str(evaluated), str(directory)))
    if plan.warnings.strip():
        complain(plan.warnings.rstrip())
    return plan, Layout(str(directory), str(evaluated), str(out), answer.working_directory(str(evaluated)))


def find_project(env: Any, variables: Mapping[str, Any]) -> Project:
    """The project that `variables` (a declaration's keywords), the command line and `env` choose."""
    from SCons.Script import ARGUMENTS

    session = Session.of(env)

    def chosen(name: str) -> str:
        return str(variables.get(name) or ARGUMENTS.get(name) or env.get(name) or os.environ.get(name) or "")

    kdir, release = _named_kernel(variables, ARGUMENTS, env, {"KDIR": os.environ.get("KDIR")})
    tree = session.find_tree(kdir, release, quiet=bool(env.GetOption("silent")))
    environ = build_environment(env, session.default_environment)
    given = make_variables(ARGUMENTS, variables)
    # To Kbuild CHECK is the program that C=1 runs; 0 is none.
    check = chosen("CHECK") != "0"
    if not check:
        given.pop("CHECK", None)
        environ.pop("CHECK", None)
    btf_threads = chosen("BTF_THREADS") not in ("", "0")
    for place in (given, environ):
        place.pop("BTF_THREADS", None)
    return session.project(env, tree, given, environ, check=check, btf_threads=btf_threads)


def _named_kernel(*places: Any) -> tuple[str, str]:
    """KDIR and KERNELRELEASE as the first of `places` (mappings) has them that has either: one in the environment says
    nothing where the command line names a kernel."""
    for place in places:
        named = str(place.get("KDIR") or ""), str(place.get("KERNELRELEASE") or "")
        if any(named):
            return named
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
            f"{out}: modules of {group.directory} and of {directory} would both be built there",
            hint="give the two the same variables, or one of them another place (a variant directory)",
        )
    return group


def _out_root(env: Any, project: Project) -> Path:
    return Path(env.Dir(env.get("KBUILD_OUT", "#build")).get_abspath()) / project.tree.release


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


def _compiler_flags(env: Any, given: Mapping[str, Any]) -> list[str]:
    flags = [*_flat(env, given.get("CFLAGS", [])), *_flat(env, given.get("CCFLAGS", []))]
    defines = given.get("CPPDEFINES", [])
    items = defines.items() if isinstance(defines, Mapping) else defines if isinstance(defines, list) else [defines]
    for item in items:
        if isinstance(item, tuple):
            flags.append(f"-D{item[0]}" if item[1] is None else f"-D{item[0]}={item[1]}")
        else:
            flags.append(f"-D{item}")
    for node in env.arg2nodes(given.get("CPPPATH", []), env.fs.Dir):
        flags.append(f"-I{node.srcnode().get_abspath()}")
        if node.srcnode() is not node:
            flags.append(f"-I{node.get_abspath()}")
    return flags


def _flat(env: Any, value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(item) for item in env.Flatten(value)]


def stop_on_error(declare: Any) -> list[Any]:
    """Turn an error into SCons' own way of stopping: its message, no traceback, exit status 2."""
    try:
        found: list[Any] = declare()
    except KbuildError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        raise SCons.Errors.StopError(f"kbuildpy: {error.message}{hint}") from error
    return found

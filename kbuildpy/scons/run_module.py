# SPDX-License-Identifier: GPL-2.0-only
"""`env.RunModule()`: modules loaded in a real kernel, as nodes.

The target is a report, `NAME.run.log` beside the module; it exists only when nothing was wrong. Else the report is
`NAME.run-failed.log`. Reports are not made by default, only by the alias `run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.stamps import digest
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import modules_of_call, stop_on_error
from kbuildpy.scons.cleaning import clean_with, sources_unless_cleaning
from kbuildpy.scons.declared_again import nodes_for
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.help import describe_alias
from kbuildpy.scons.kernel_words import KernelWord, kernel_word, line_of_tree
from kbuildpy.scons.keywords import file_nodes, flag, parameters_by_module, texts, whole_number
from kbuildpy.scons.options import is_cleaning, is_dry_run
from kbuildpy.scons.other_kernels import OtherKernel, other_kernels, reports_are_asked_for
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.run_reports import coverage_place, failed_report_of, report_of
from kbuildpy.vm.settings import Settings


def run_module(
    env: Any,
    modules: Any = None,
    *,
    params: str | Mapping[str, str] = "",
    dyndbg: bool = False,
    timeout: int = 20,
    memory: int = 512,
    append: str | Sequence[str] = "",
    tests: Any = (),
    files: Any = (),
    devices: str | Sequence[str] = (),
    kernel_modules: str | Sequence[str] = (),
    test_timeout: int = 60,
    wait: int = 0,
    kernels: str | Sequence[str] = (),
    source: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare that `modules` (nodes or names of `.ko` files) are loaded and removed in the kernel that they are built
    for, all of one kernel in one boot; the nodes of their reports, which the alias `run` makes,
    and `test` where there are tests.

    `params` are parameters as insmod takes them: of one module, or of several by their names. `dyndbg` switches dynamic
    debug messages on, `timeout` is the seconds that an init or exit function may take, `memory` the guest's in MiB,
    `append` goes on the kernel's command line.

    `tests` (nodes or names of scripts, static programs and sources in C) run in the guest with the modules loaded, each
    for `test_timeout` seconds at most, with `files` beside them; after that the guest goes on for `wait` seconds.
    `devices` are QEMU's, `kernel_modules` the kernel's own that are loaded first, each a name and maybe parameters.

    `kernels` are others to run in, in place of that one, each in the words of `kbuildpy run`: a release, a pattern or a
    path, `--with kasan,...`, or both. The modules are built for them, but only to be run.

    Variables (KDIR, ARCH, ...) choose the kernel, as for KernelModule.
    """

    def declare() -> list[Any]:
        call = "RunModule"
        nodes = modules_of_call(env, call, run_module, modules, source, variables, example="RunModule(ko)", verb="run")
        words = [kernel_word(call, word) for word in texts(call, "kernels", kernels)]
        if words and variables:
            raise UsageError(f"{call}: kernels and {min(variables)} both choose kernels", hint="give one of them")
        parameters = _parameters(call, params, nodes)
        programs = file_nodes(env, f"{call}: tests", tests)
        beside = file_nodes(env, f"{call}: files", files)
        settings = Settings(
            limit=whole_number(call, "timeout", timeout, least=1, why="seconds, a whole number from 1 on"),
            memory=whole_number(call, "memory", memory, least=64, why="MiB, a whole number from 64 on; most need 256"),
            append=tuple(word for item in texts(call, "append", append) for word in item.split()),
            dyndbg=flag(call, "dyndbg", dyndbg),
            files=tuple(Path(_file(node)) for node in beside),
            test_limit=whole_number(
                call, "test_timeout", test_timeout, least=1, why="seconds, a whole number from 1 on"
            ),
            linger=whole_number(call, "wait", wait, least=0, why="seconds, a whole number"),
            devices=texts(call, "devices", devices),
            modules=texts(call, "kernel_modules", kernel_modules),
        )
        if words:
            reports = _in_others(env, nodes, parameters, settings, words, programs=programs, beside=beside)
        else:
            reports = _declare(env, nodes, parameters, settings, variables, programs=programs, beside=beside)
        env.Alias("run", reports)
        describe_alias(env, "run")
        if programs:
            env.Alias("test", reports)
            describe_alias(env, "test")
        return reports

    return stop_on_error(declare)


def _parameters(call: str, params: Any, nodes: Sequence[Any]) -> dict[str, str]:
    """The parameters by the names of the modules."""
    found = parameters_by_module(call, params, nodes)
    if isinstance(params, str) and params and len(found) > 1:
        raise UsageError(f"{call}: params={params!r}: of which module?", hint="name the module: params={'NAME': '...'}")
    for words in found.values():
        if "\n" in words or "\0" in words:
            raise UsageError(f"{call}: parameters are one line: {words!r}")
    return found


def _in_others(
    env: Any,
    nodes: Sequence[Any],
    parameters: Mapping[str, str],
    settings: Settings,
    words: Sequence[KernelWord],
    *,
    programs: Sequence[Any],
    beside: Sequence[Any],
) -> list[Any]:
    """The reports of `nodes` built for the kernels that `words` name."""
    session = session_of(env)
    first = session.group_of(getattr(nodes[0].attributes, "kbuildpy_built", nodes[0].get_abspath()))
    line = line_of_tree(first.project.tree if first else find_project(env, {}).tree)
    files = [Path(node.get_abspath()) for node in nodes]
    # (two words may name one kernel)
    kernels: dict[Path, OtherKernel] = {}
    for kernel in other_kernels("RunModule", words, line=line, modules=files, idle=is_dry_run(env) or is_cleaning(env)):
        if kernel.parameters or kernel.tree.objects not in kernels:
            kernels[kernel.tree.objects] = kernel
    found = _left_out(env, nodes, words) if not reports_are_asked_for() else []
    for kernel in kernels.values():
        known = set(session.groups)
        others = nodes_for("RunModule", nodes, str(kernel.tree.objects))
        for out in set(session.groups) - known:
            # (by default, nothing is built for a kernel that modules are only run in)
            session.hide(env.Dir(out))
            clean_with(env, nodes[0], env.Dir(out))
        more = replace(settings, append=(*kernel.parameters, *settings.append))
        found += _declare(env, others, parameters, more, {}, programs=programs, beside=beside)
    return found


def _left_out(env: Any, nodes: Sequence[Any], words: Sequence[KernelWord]) -> list[Any]:
    """In place of the reports that only `scons run` makes: nodes that fail, as an alias of the user's may have them."""
    found = []
    for word in (word for word in words if word.sets):

        def fail(*_: Any, text: str = word.text) -> None:
            raise KbuildError(
                f"RunModule: kernels={text!r} is built and run only if reports are asked for by name",
                hint="scons run, or scons test",
            )

        for node in nodes:
            report = report_of(Path(node.get_abspath()))
            target = file_node(env, report.with_name(f"{report.name}.{digest(word.text)[:8]}"))
            bind(env, [target], [], KbuildAction(fail, title="", signature=word.text))
            target.set_always_build(True)
            env.Ignore(target.dir, target)
            found.append(target)
    return found


def _declare(
    env: Any,
    nodes: Sequence[Any],
    parameters: Mapping[str, str],
    settings: Settings,
    variables: Mapping[str, Any],
    *,
    programs: Sequence[Any],
    beside: Sequence[Any],
) -> list[Any]:
    """The reports of `nodes`, in their order: one boot for each kernel tree that they are built for."""
    session = session_of(env)
    chosen = find_project(env, variables) if variables else None
    groups = {node: session.group_of(getattr(node.attributes, "kbuildpy_built", node.get_abspath())) for node in nodes}
    boots: dict[Path, tuple[KernelProject, list[Any]]] = {}
    for node, group in groups.items():
        project = chosen or (group.project if group else find_project(env, variables))
        boots.setdefault(project.tree.objects, (project, []))[1].append(node)
    reports: dict[Any, Any] = {}
    for project, together in boots.values():
        # (a module that was built elsewhere has no group)
        group = next((groups[node] for node in together if groups[node]), None)
        action = _action(project, together, parameters, settings, programs)
        targets = [file_node(env, report_of(Path(node.get_abspath()))) for node in together]
        bind(
            group.project.env if group else env,
            targets,
            sources_unless_cleaning(env, [*together, *programs, *beside]),
            action,
        )
        if group:
            for target in targets:
                target.attributes.kbuildpy_contents = group.contents
        reports.update(zip(together, targets, strict=True))
    for node, report in reports.items():
        report.set_nocache()
        # By default, SCons builds all targets in a directory.
        env.Ignore(report.dir, report)
        failed = file_node(env, failed_report_of(Path(node.get_abspath())))
        covered = str(coverage_place(Path(node.get_abspath())))
        env.Clean(report, [failed, covered])
        clean_with(env, node, report, failed, covered)
    return [reports[node] for node in groups]


def _action(
    project: KernelProject,
    nodes: Sequence[Any],
    parameters: Mapping[str, str],
    settings: Settings,
    programs: Sequence[Any],
) -> KbuildAction:
    """Runs `nodes` in the kernel of `project`, all in one boot, and `programs` with them."""

    def run(_: list[Any], sources: list[Any]) -> None:
        from kbuildpy.scons.run_in_kernel import run_in_kernel  # (slow, and not for a build with nothing to do)

        run_in_kernel(
            project.tree,
            [Path(source.get_abspath()) for source in sources[: len(nodes)]],
            settings,
            parameters=parameters,
            programs=[(_file(node), str(node)) for node in programs],
        )

    title = "\n".join(f"  RUN     {Path(node.get_abspath()).name}" for node in nodes)
    signature = digest(project.tree.release, sorted(parameters.items()), settings, [str(node) for node in programs])
    return KbuildAction(run, title=title, signature=signature)


def _file(node: Any) -> str:
    """The file of a test: where the build makes it, else among the sources."""
    return str((node if node.is_derived() else node.srcnode()).get_abspath())

"""`env.RunModule()`: modules loaded in a real kernel, as nodes.

The report `NAME.run.log` beside a module is what is made; it is there only when nothing was wrong. What was wrong goes
into `NAME.run-failed.log`. Nothing of this is made by default, only by the alias `run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.check_paths import check_encoding
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kernel.own_modules import module_name
from kbuildpy.say import complain, say
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.builders import find_project, stop_on_error
from kbuildpy.scons.cleaning import clean_with, sources_unless_cleaning
from kbuildpy.scons.keywords import (
    check_names,
    file_nodes,
    flag,
    given_modules,
    parameters_by_module,
    texts,
    whole_number,
)
from kbuildpy.scons.session import Project, Session

if TYPE_CHECKING:
    from kbuildpy.vm.result import Result


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

    Variables (KDIR, ARCH, ...) choose the kernel, as for KernelModule.
    """

    def declare() -> list[Any]:
        from kbuildpy.scons.help import describe_alias
        from kbuildpy.vm.session import Settings

        call = "RunModule"
        check_names(call, run_module, variables)
        nodes = file_nodes(env, call, given_modules(call, modules, source, example="RunModule(ko)"))
        if not nodes:
            raise UsageError(f"{call}: no modules to run", hint=f"name one: {call}(ko)")
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
        raise UsageError(f"{call}: params={params!r}: of which module?", hint="say so: params={'NAME': '...'}")
    for words in found.values():
        if "\n" in words or "\0" in words:
            raise UsageError(f"{call}: parameters are one line: {words!r}")
    return found


def _declare(
    env: Any,
    nodes: Sequence[Any],
    parameters: Mapping[str, str],
    settings: Any,
    variables: Mapping[str, Any],
    *,
    programs: Sequence[Any],
    beside: Sequence[Any],
) -> list[Any]:
    """The reports of `nodes`, in their order: one boot for each kernel tree that they are built for."""
    session = Session.of(env)
    chosen = find_project(env, variables) if variables else None
    groups = {node: session.group_of(getattr(node.attributes, "kbuildpy_built", node.get_abspath())) for node in nodes}
    boots: dict[Path, tuple[Project, list[Any]]] = {}
    for node, group in groups.items():
        project = chosen or (group.project if group else find_project(env, variables))
        boots.setdefault(project.tree.objects, (project, []))[1].append(node)
    reports: dict[Any, Any] = {}
    for project, together in boots.values():
        first = groups[together[0]]
        action = _action(project, together, parameters, settings, programs)
        targets = [env.fs.File(str(_report_of(node))) for node in together]
        bind(
            first.project.env if first else env,
            targets,
            sources_unless_cleaning(env, [*together, *programs, *beside]),
            action,
        )
        reports.update(zip(together, targets, strict=True))
    for node, report in reports.items():
        group = groups[node]
        if group:
            report.attributes.kbuildpy_contents = group.contents
        report.set_nocache()
        # A directory is built with all that is in it, unless told otherwise.
        env.Ignore(report.dir, report)
        failed = env.fs.File(str(_failed(Path(report.get_abspath()))))
        env.Clean(report, failed)
        clean_with(env, node, report, failed)
    return [reports[node] for node in groups]


def _report_of(node: Any) -> Path:
    return Path(node.get_abspath()).with_suffix(".run.log")


def _action(
    project: Project, nodes: Sequence[Any], parameters: Mapping[str, str], settings: Any, programs: Sequence[Any]
) -> KbuildAction:
    """Runs `nodes` in the kernel of `project`, all in one boot, and `programs` with them."""
    targets = [_report_of(node) for node in nodes]
    for target in targets:
        check_encoding(str(target))

    def run(_: list[Any], sources: list[Any]) -> None:
        from kbuildpy.vm.describe import describe_test
        from kbuildpy.vm.kernels import kernel_of_tree
        from kbuildpy.vm.programs import read_test
        from kbuildpy.vm.session import run_modules
        from kbuildpy.vm.trial import read_trial

        files = [Path(source.get_abspath()) for source in sources[: len(nodes)]]
        for target in targets:
            _failed(target).unlink(missing_ok=True)
        trials = [read_trial(file, parameters[module_name(file.name)]) for file in files]
        kernel = kernel_of_tree(project.tree)
        tests = tuple(replace(read_test(_file(node)), name=str(node)) for node in programs)
        ready = replace(settings, tests=tests)
        results = {result.file: result for result in run_modules(kernel, trials, ready, show=lambda chunk: None)}
        done = next(iter(results.values())).tests
        for test in done:
            (say if test.passed else complain)(describe_test(test, kernel.release))
        for file, target in zip(files, targets, strict=True):
            _write_report(target, results[str(file)])
        bad = [result for result in results.values() if not result.content]
        failed = [test for test in done if not test.passed]
        if failed and not bad:
            raise KbuildError(f"{len(failed)} of {len(done)} tests failed in {kernel.release}")
        if bad:
            names = ", ".join(result.name for result in bad)
            places = ", ".join(str(_failed(Path(result.file).with_suffix(".run.log"))) for result in bad)
            raise KbuildError(
                f"{len(bad)} of {len(results)} modules gave cause for complaint in {kernel.release}: {names}",
                hint=f"the kernel's log is in {places}",
            )

    title = "\n".join(f"  RUN     {Path(node.get_abspath()).name}" for node in nodes)
    signature = digest(project.tree.release, sorted(parameters.items()), settings, [str(node) for node in programs])
    return KbuildAction(run, title=title, signature=signature)


def _write_report(target: Path, result: Result) -> None:
    """Leave the report of one module, and what was wrong on standard error."""
    from kbuildpy.files import replacing
    from kbuildpy.vm.describe import as_text, describe_test

    place = target if result.passed else _failed(target)
    text = as_text(result)
    tests = [f"{describe_test(test, result.kernel)}\n" for test in result.tests]
    log = "\n".join(result.log)
    with replacing(place) as slot:
        slot.write(f"{text}\n{''.join(tests)}\nThe kernel's log:\n{log}\n".encode(errors="surrogateescape"))
    if not result.content:
        complain(text)


def _file(node: Any) -> str:
    """The file of a test: where the build makes it, else among the sources."""
    return str((node if node.is_derived() else node.srcnode()).get_abspath())


def _failed(target: Path) -> Path:
    return target.with_name(f"{target.name.removesuffix('.run.log')}.run-failed.log")

# SPDX-License-Identifier: GPL-2.0-only
"""Carries out the steps that Kbuild has for one object.

The counterparts are rule_cc_o_c, rule_as_o_S and rule_ld_multi_m of scripts/Makefile.build. The compiler, objtool and
genksyms run as the plan says. Three small programs between them are replaced by code here, because starting them takes
longer than their work: fixdep (`cmd_file`), scripts/check-local-export, and the nm command that finds out whether the
object exports symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kbuildpy import elf
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.cmd_file import CmdFile, cmd_file_of, depfile_of, format_cmd_file
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.make_form import make_form
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.rules import CHECK_RULES, COMPILE_RULES, SINGLE_RULES
from kbuildpy.kbuild.run_step import run_step
from kbuildpy.say import say

_GENSYMVERSIONS = frozenset({"gen_symversions_c", "gen_symversions_S", "modversions_c", "modversions_S"})
# Rules whose output only Kbuild itself reads, or that only warn.
_IGNORED = frozenset({"gen_objtooldep", "gen_ksymdeps", "warn_shared_object", "undefined_syms"})


def compile_object(job: Job, *, symbols_of: Callable[[str], Iterable[str]], is_own: Callable[[str], bool]) -> CmdFile:
    """Make the object of `job` and its `.cmd` file; returns the content of the latter.

    `symbols_of` returns the CONFIG_ symbols that a file mentions, `is_own` says whether a file belongs to the module.
    Raises `CommandError` when a program fails (its message is on standard error already), and `KbuildError` for
    EXPORT_SYMBOL of a static symbol; then neither file exists.
    """
    made_from, exports = CmdFile("", (), frozenset()), False
    with _whole_or_not_at_all(job.object_file, job.cmd_path, depfile_of(job.object_file)):
        for step in job.steps:
            if step.rule in SINGLE_RULES:
                make_form(job, step)
                made_from = _write_cmd_file(job, step, symbols_of=symbols_of, is_own=is_own)
            elif step.rule in COMPILE_RULES:
                made_from = _compile(job, step, symbols_of=symbols_of, is_own=is_own)
                exports = _exports(job.object_file)
            elif step.rule in CHECK_RULES:
                if step.rule == "checksrc" and job.check_line:
                    say(job.check_line)
                run_step(job, step)
            elif step.rule in _GENSYMVERSIONS:
                if exports:
                    run_step(job, step)
                    depfile_of(job.object_file).unlink(missing_ok=True)
            elif step.rule == "check_local_export":
                if exports:
                    _check_local_export(job)
            elif step.rule not in _IGNORED:
                run_step(job, step)
    return made_from


def link_object(job: Job) -> None:
    """Link a composite module's object from its parts. Raises `CommandError` when a program fails; then no object is
    left."""
    with _whole_or_not_at_all(job.object_file):
        for step in job.steps:
            if step.rule not in _IGNORED:
                run_step(job, step)


def check_source(job: Job) -> None:
    """Run the checker (sparse) over the source of `job`; the object is not touched. Raises `CommandError` when the
    checker fails (its message is on standard error already)."""
    for step in job.steps:
        run_step(job, step)


@contextmanager
def _whole_or_not_at_all(*files: Path) -> Iterator[None]:
    """Remove `files` if the body of the `with` statement, which makes them, fails or is interrupted."""
    files[0].parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for made in files:
            made.unlink(missing_ok=True)
        raise


def _compile(
    job: Job, step: BuildStep, *, symbols_of: Callable[[str], Iterable[str]], is_own: Callable[[str], bool]
) -> CmdFile:
    """Run the compiler and write the `.cmd` file."""
    precompiled = _run_compiler(job, step)
    return _write_cmd_file(job, step, symbols_of=symbols_of, is_own=is_own, precompiled=precompiled)


def _write_cmd_file(
    job: Job,
    step: BuildStep,
    *,
    symbols_of: Callable[[str], Iterable[str]],
    is_own: Callable[[str], bool],
    precompiled: tuple[str, ...] = (),
) -> CmdFile:
    """Write the `.cmd` file, from the compiler's depfile."""
    depfile = depfile_of(job.object_file)
    made_from = cmd_file_of(
        depfile,
        cwd=job.cwd,
        symbols_of=symbols_of,
        is_own=is_own,
        find=job.layout.find,
        besides=precompiled,
        without=f"{job.precompiled.directory}/" if job.precompiled and precompiled else "",
        source=job.stand_in.source if job.stand_in else "",
        repeats=job.repeats,
    )
    text = format_cmd_file(made_from, target=job.target, command=step.command)
    job.cmd_path.write_text(text, errors="surrogateescape")
    depfile.unlink()
    return made_from


def _run_compiler(job: Job, step: BuildStep) -> tuple[str, ...]:
    """Compile, with precompiled headers where there are any; returns the headers that were precompiled."""
    if job.early and job.early.take(job.object_file, command=step.command, cwd=job.cwd, env=job.env):
        return ()
    if job.precompiled is not None:
        source = Path(job.source) if job.source else job.object_file.with_suffix(".c")
        quicker, headers = job.precompiled.options(step, source, cwd=job.cwd, env=job.env)
        if quicker is not step:
            try:
                run_step(job, quicker)
            except CommandError:
                # GCC may be unable to map the precompiled file at its address: then compile without it. Not for a
                # user's source: its error was printed already, and would be printed twice.
                if not job.precompiled.kind.is_ours:
                    raise
            else:
                return headers
    run_step(job, step)
    return ()


def _exports(object_file: Path) -> bool:
    content = object_file.read_bytes()
    return b"__ksymtab_" in content or b"__export_symbol_" in content


def _check_local_export(job: Job) -> None:
    """Refuse EXPORT_SYMBOL of a static symbol (scripts/check-local-export; since 6.4 modpost does it)."""
    symbols = {symbol.name: symbol for symbol in elf.ModuleImage.from_path(job.object_file).symbols if symbol.shndx}
    exported = (name.removeprefix("__ksymtab_") for name in symbols if name.startswith("__ksymtab_"))
    local = [name for name in exported if name in symbols and symbols[name].bind == 0]
    if local:
        name = job.layout.relative(job.target)
        lines = [f"{name}: error: local symbol {symbol} was exported" for symbol in local]
        raise KbuildError("\n".join(lines), hint="EXPORT_SYMBOL is for global symbols: remove `static`")

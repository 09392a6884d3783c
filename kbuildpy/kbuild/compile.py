"""Carries out the steps that Kbuild has for one object.

The counterparts are rule_cc_o_c, rule_as_o_S and rule_ld_multi_m of scripts/Makefile.build. The compiler, objtool
and genksyms run as the plan says; three small scripts between them are done here, because starting
them costs more than their work: fixdep (`record`), scripts/check-local-export, and the question whether
the object exports anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.command import run_command
from kbuildpy.kbuild.directory import COMPILE_RULES, LINK_RULES
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.overlay import entry
from kbuildpy.kbuild.plan import Step
from kbuildpy.kbuild.precompiled import Precompiled, precompiled_directory
from kbuildpy.kbuild.prefix_maps import carried_over, records_macros
from kbuildpy.kbuild.record import Record, format_record, make_record
from kbuildpy.run import how_it_failed
from kbuildpy.say import say

_GENSYMVERSIONS = frozenset({"gen_symversions_c", "gen_symversions_S", "modversions_c", "modversions_S"})
# Bookkeeping of Kbuild's own that has no meaning here.
_IGNORED = frozenset({"gen_objtooldep", "gen_ksymdeps", "warn_shared_object", "undefined_syms"})


class StandIn(NamedTuple):
    """A copy, at `path`, of the source at `source`; it says itself that it is called `name`."""

    source: str
    path: str
    name: str


@dataclass(frozen=True)
class Job:
    """One object to make: nominal `target` by `steps`; `outputs` are the nominal names in its commands that
    lie among the output; `extra` are compiler options of ours; `cwd` and `env` are what Kbuild runs it in;
    `precompiled` are headers that a `.mod.c` begins with; `stand_in` is what the compiler reads in place of that;
    `repeats` says that the record names a header as often as the compiler does; `check_line` is what to say before the
    source is checked (sparse), if anything; `whose` is the kernel, where others are built for as well."""

    target: str
    steps: tuple[Step, ...]
    layout: Layout
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    outputs: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    verbose: bool = False
    whose: str = ""
    precompiled: Precompiled | None = field(default=None, repr=False, compare=False)
    stand_in: StandIn | None = None
    repeats: bool = False
    check_line: str = field(default="", compare=False)

    @property
    def object_file(self) -> Path:
        """Where the object goes."""
        return Path(self.layout.actual(self.target))

    @property
    def record_file(self) -> Path:
        """Where its record goes: `.NAME.o.cmd` beside it."""
        return record_path(self.object_file)


def record_path(object_file: Path) -> Path:
    """The record that belongs to an object file."""
    return object_file.with_name(f".{object_file.name}.cmd")


def compile_object(job: Job, *, symbols_of: Callable[[str], Iterable[str]], is_own: Callable[[str], bool]) -> Record:
    """Make the object of `job` and its record; what it was made from.

    Raises `CommandError` when a program fails (it has said why on standard error); then neither file exists.
    """
    path = job.object_file
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _run_steps(job, symbols_of=symbols_of, is_own=is_own)
    except BaseException:
        for made in (path, job.record_file, _depfile_path(path)):
            made.unlink(missing_ok=True)
        raise


def link_object(job: Job) -> None:
    """Link a composite module's object from its parts; on failure no object is left (`CommandError`)."""
    path = job.object_file
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for step in job.steps:
            if step.rule not in _IGNORED:
                _run_step(job, step)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def is_checked_source(rule: str) -> bool:
    """Whether a rule only looks at the source (sparse, kernel-doc): it says nothing about the object."""
    return rule in ("checksrc", "force_checksrc", "checkdoc")


def _run_steps(job: Job, *, symbols_of: Callable[[str], Iterable[str]], is_own: Callable[[str], bool]) -> Record:
    record = Record("", (), frozenset())
    exports = False
    for step in job.steps:
        if step.rule in COMPILE_RULES:
            quicker, besides = step, tuple[str, ...]()
            if job.precompiled is not None:
                source = job.object_file.with_suffix(".c")
                quicker, besides = job.precompiled.options(step, source, cwd=job.cwd, env=job.env)
            try:
                _run_step(job, quicker)
            except CommandError:
                if quicker is step:
                    raise
                # GCC may be unable to map the precompiled file where it was made: then as Kbuild does it.
                besides = ()
                _run_step(job, step)
            depfile = _depfile_path(job.object_file)
            record = make_record(
                depfile,
                cwd=job.cwd,
                symbols_of=symbols_of,
                is_own=is_own,
                find=job.layout.find,
                besides=besides,
                without=f"{precompiled_directory()}/",
                source=job.stand_in.source if job.stand_in else "",
                repeats=job.repeats,
            )
            text = format_record(record, target=job.target, command=step.command)
            job.record_file.write_text(text, errors="surrogateescape")
            depfile.unlink()
            content = job.object_file.read_bytes()
            exports = b"__ksymtab_" in content or b"__export_symbol_" in content
        elif step.rule in _GENSYMVERSIONS:
            if exports:
                _run_step(job, step)
                _depfile_path(job.object_file).unlink(missing_ok=True)
        elif step.rule == "check_local_export":
            if exports:
                _check_local_export(job)
        elif step.rule not in _IGNORED:
            if step.rule == "checksrc" and job.check_line:
                say(job.check_line)
            _run_step(job, step)
    return record


def _depfile_path(object_file: Path) -> Path:
    """Where the compiler leaves its depfile (scripts/Kbuild.include: depfile): `-Wp,` ends at a comma."""
    return object_file.with_name(f".{object_file.name.replace(',', '_')}.d")


def _run_step(job: Job, step: Step) -> None:
    text = job.layout.relocate(step.command, (job.target, *job.outputs))
    if step.rule not in COMPILE_RULES:
        # (__FILE__ and friends do not reach a CRC: genksyms needs no maps of names.)
        status = _run_command(job, text)
    elif job.stand_in is None or (records_macros(text) and "=" not in job.stand_in.name):
        status = _run_command(job, text, carried_over(job.extra, text))
    else:
        status = _compile_stand_in(job, job.stand_in, text)
    if status:
        raise CommandError(
            f"{job.layout.relative(job.target)}: {_program(step)} {how_it_failed(status)}", returncode=status
        )


def _compile_stand_in(job: Job, stand_in: StandIn, text: str) -> int:
    """Compile with the name that the source would have beside the module's sources.

    A map of its real name would not do: GCC lists a source that it finds under a mapped name twice in DWARF 2 to 4. A
    line directive gives all but the compilation unit its name, and a map gives it to that. (Macros, which -g3 writes
    down, belong to the file that was read, whatever its lines say.)
    """
    with ExitStack() as stack:
        path, place, name = Path(stand_in.path), stand_in.path, stand_in.name
        if "=" in stand_in.path or "=" in stand_in.name:
            # A map cannot hold a name with such a character: what has it is the same here and there.
            place = stack.enter_context(TemporaryDirectory(prefix="kbuildpy-"))
            name = stand_in.name.partition("=")[0].rpartition("/")[0]
            path = Path(f"{place}{stand_in.name[len(name) :]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        stack.callback(path.unlink, missing_ok=True)
        path.write_bytes(os.fsencode(f'#line 1 "{stand_in.name}"\n') + Path(stand_in.source).read_bytes())
        text = re.sub(rf"(?<!\S){re.escape(stand_in.source)}(?!\S)", lambda _: str(path), text)
        extra = carried_over([f"-fdebug-prefix-map={place}={name}"], text)
        return _run_command(job, text, extra)


def _run_command(job: Job, text: str, extra: Sequence[str] = ()) -> int:
    layout = job.layout
    return run_command(
        text,
        cwd=job.cwd,
        env=job.env,
        extra=extra,
        verbose=job.verbose,
        begin=entry(layout.overlay, job.cwd) if layout.overlay else None,
        renames=layout.renames,
        whose=job.whose,
    )


def _program(step: Step) -> str:
    if step.rule in COMPILE_RULES:
        return "the compiler"
    return "the linker" if step.rule in LINK_RULES else f"Kbuild's {step.rule}"


def _check_local_export(job: Job) -> None:
    """Refuse EXPORT_SYMBOL of a static symbol (scripts/check-local-export; since 6.4 modpost does it)."""
    from kbuildpy.elf import ModuleImage  # an object that exports is the exception

    symbols = {symbol.name: symbol for symbol in ModuleImage.from_path(job.object_file).symbols if symbol.shndx}
    exported = (name.removeprefix("__ksymtab_") for name in symbols if name.startswith("__ksymtab_"))
    local = [name for name in exported if name in symbols and symbols[name].bind == 0]
    if local:
        name = job.layout.relative(job.target)
        lines = [f"{name}: error: local symbol {symbol} was exported" for symbol in local]
        raise KbuildError("\n".join(lines), hint="EXPORT_SYMBOL is for global symbols: take `static` away")

# SPDX-License-Identifier: GPL-2.0-only
"""Runs one of Kbuild's commands for an object, with output in the output directory and Kbuild's names in debug
information."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.command import run_command
from kbuildpy.kbuild.job import Job, StandIn
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.prefix_maps import carried_over, records_macros
from kbuildpy.kbuild.rules import COMPILE_RULES, LINK_RULES, RUST_RULES, SINGLE_RULES
from kbuildpy.kbuild.rust import rustc_command
from kbuildpy.run import how_it_failed

_DISABLED = re.compile(r"(?<!\S)-fdisable-tree-(\w+)")


def run_step(job: Job, step: BuildStep) -> None:
    """Run `step` of `job`. Raises `CommandError` when it fails; the program's message is on standard error already."""
    text = job.layout.relocate(step.command, (job.target, *job.outputs))
    if step.rule in RUST_RULES:
        folder = str(job.object_file.parent)
        status = _run_text(job, rustc_command(step.rule, text, folder=folder, maps=job.extra))
    elif step.rule not in COMPILE_RULES | SINGLE_RULES:
        # no prefix maps: CRCs by genksyms do not depend on __FILE__
        status = _run_text(job, text)
    elif job.stand_in is None or (records_macros(text) and "=" not in job.stand_in.name):
        status = _run_text(job, text, carried_over(job.extra, text))
    else:
        status = _compile_stand_in(job, job.stand_in, text)
    if status:
        name = job.layout.relative(job.target)
        raise CommandError(f"{name}: {_program(step)} {how_it_failed(status)}", returncode=status)


def _compile_stand_in(job: Job, stand_in: StandIn, text: str) -> int:
    """Compile a copy of the source under the name that the source would have beside the module's sources; returns the
    exit status.

    A prefix map alone is not enough: in DWARF 2 to 4 GCC lists a source with a mapped name twice. So a `#line`
    directive sets the name everywhere except in the compilation unit, and a prefix map sets it there. Macros in debug
    information (-g3) belong to the file that the compiler read, whatever `#line` says.
    """
    with ExitStack() as stack:
        path, place, name = Path(stand_in.path), stand_in.path, stand_in.name
        if "=" in stand_in.path or "=" in stand_in.name:
            # A map cannot hold a name with "=". So it maps only the part before: the folders behind it have the same
            # names in the temporary directory.
            place = stack.enter_context(TemporaryDirectory(prefix="kbuildpy-"))
            name = stand_in.name.partition("=")[0].rpartition("/")[0]
            path = Path(f"{place}{stand_in.name[len(name) :]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        stack.callback(path.unlink, missing_ok=True)
        path.write_bytes(os.fsencode(f'#line 1 "{stand_in.name}"\n') + Path(stand_in.source).read_bytes())
        text = re.sub(rf"(?<!\S){re.escape(stand_in.source)}(?!\S)", lambda _: str(path), text)
        return _run_text(job, text, carried_over([f"-fdebug-prefix-map={place}={name}"], text))


def _run_text(job: Job, text: str, extra: Sequence[str] = ()) -> int:
    layout = job.layout
    return run_command(
        text,
        cwd=job.cwd,
        env=job.env,
        extra=extra,
        verbose=job.verbose,
        begin=entry(layout.overlay, job.cwd) if layout.overlay else None,
        renames=layout.renames or _without_note(text),
        whose=job.whose,
        hear_objtool=job.hear_objtool,
        hear=job.hear,
    )


def _without_note(text: str) -> tuple[str, str] | None:
    """The note that GCC prints in every compilation with a disabled pass, and "" to replace it; None without such a
    pass."""
    found = _DISABLED.search(text)
    return (
        (f"cc1: note: disable pass tree-{found[1]} for functions in the range of [0, 4294967295]\n", "")
        if found
        else None
    )


def _program(step: BuildStep) -> str:
    if step.rule in COMPILE_RULES | SINGLE_RULES:
        return "the compiler"
    return "the linker" if step.rule in LINK_RULES else f"Kbuild's {step.rule}"

# SPDX-License-Identifier: GPL-2.0-only
"""Makes another form of a source: preprocessed (`x.i`), assembly (`x.s`), a listing (`x.lst`), types (`x.symtypes`).

The counterparts are cmd_cpp_i_c, cmd_cc_s_c, cmd_cpp_s_S, cmd_cc_lst_c, cmd_cc_ll_c and cmd_cc_symtypes_c of
scripts/Makefile.build.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from kbuildpy.kbuild.cmd_file import depfile_of
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.run_step import run_step

_OBJECT = re.compile(r" -c -o (\S+)")


def make_form(job: Job, step: BuildStep) -> None:
    """Run `step` of `job`, and replace names in the file that it writes by those that make's would have; the compiler's
    depfile stays beside the file. Raises `CommandError` when a program fails."""
    if step.rule == "cc_lst_c":
        _make_listing(job, step)
    else:
        run_step(job, step)
    evaluated, directory = job.layout.evaluated, job.layout.directory
    if evaluated != directory:
        _replace(job.object_file, evaluated, directory)


def _make_listing(job: Job, step: BuildStep) -> None:
    """Make a listing: compile an object to another folder, run objdump, and put Kbuild's name of the object into the
    listing's first line.

    Kbuild's name (`$*.o`) is relative to the directory it runs in, so that make writes that object in the kernel tree.
    """
    layout = job.layout
    aside = replace(job, layout=layout._replace(out=f"{layout.out}/.kbuildpy/listings"))
    aside.object_file.parent.mkdir(parents=True, exist_ok=True)
    listed = aside.object_file.with_suffix(".o")
    match = _OBJECT.search(step.command)
    named = match[1] if match else ""
    command = re.sub(rf"(?<!\S){re.escape(named)}(?!\S)", lambda _: str(listed), step.command)
    run_step(aside, replace(step, command=command))
    depfile_of(aside.object_file).replace(depfile_of(job.object_file))
    aside.object_file.replace(job.object_file)
    listed.unlink()
    _replace(job.object_file, f"\n{listed}:", f"\n{named}:")


def _replace(file: Path, old: str, new: str) -> None:
    contents = file.read_bytes()
    file.write_bytes(contents.replace(os.fsencode(old), os.fsencode(new)))

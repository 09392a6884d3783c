# SPDX-License-Identifier: GPL-2.0-only
"""Runs make over a module directory's Kbuild file (`mk/directory.mk`), for `ask_directory`."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.make_environment import asks_anew
from kbuildpy.kbuild.make_output import OURS, Makefiles, make_failed, read_records
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.overlay import Overlay, find_in
from kbuildpy.kbuild.parse_plan import DirectoryOutput, parse_plan
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.rust import refuse_unbuildable_rust
from kbuildpy.kbuild.single_targets import goals_for, no_rule
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.run import run
from kbuildpy.similar import similar_file

_NO_SOURCE = re.compile(r"No rule to make target '(.*)\.o', needed by")


def make_plan(question: DirectoryQuestion, overlay: Overlay | None, *, makefiles: Makefiles = OURS) -> Plan:
    """Run make with `makefiles` for the plan of the directory; nothing is cached. Returns and raises as
    `ask_directory`."""
    answer, directory, kbuild_file = question.answer, question.directory, question.kbuild_file
    cwd = answer.working_directory(str(directory))
    begin = entry(overlay, cwd) if overlay else None
    obj = (question.below or ".") if answer.in_directory else str(directory / question.below)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        records = Path(scratch) / "records"
        env = answer.environment_for(question.environ, str(directory)) | {
            "KBUILDPY_MK": str(makefiles.folder),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_SOURCES": " ".join(question.coming),
            **makefiles.environment,
        }
        if kbuild_file is not None:
            env["KBUILDPY_KBUILD_FILE"] = str(kbuild_file)
        argv = ["make", "-n", "-B", "-f", str(makefiles.folder / "directory.mk"), f"obj={obj}", "need-builtin="]
        top = "" if answer.in_directory else f"{directory}/"
        goals = [f"{top}{goal}" for goal in goals_for(question.goals)]
        if goals and _knows_singles_by_variable(answer):
            env["KBUILD_SINGLE_TARGETS"] = " ".join(goals)
            goals = ["single-build=1"]
        done = run([*argv, "need-modorder=1", *goals], cwd=cwd, env=env, check=False, begin=begin)
        written = Path(find_in(overlay, str(records)))
        text = written.read_text(errors="surrogateescape") if written.exists() else ""
    if done.returncode != 0:
        said = "what the SConstruct declares" if kbuild_file else "the Kbuild file"
        unknown = no_rule(directory, done.error_text, base=cwd) if question.goals else None
        if unknown:
            raise unknown
        hint = _missing_source_hint(done.error_text, cwd, said)
        raise make_failed(f"{directory}: make refuses {said}", done.error_text, hint=hint)
    output = DirectoryOutput(
        directory=directory,
        cwd=cwd,
        obj=obj,
        records=list(read_records(text)),
        recipes=done.text,
        warnings=done.error_text,
        overlay=overlay,
        goals=question.goals,
    )
    plan = parse_plan(answer, output)
    refuse_unbuildable_rust(answer, plan, output.records, output.recipes, env)
    return replace(plan, changeable=True) if asks_anew(dict(answer.variables), question.environ) else plan


def _knows_singles_by_variable(answer: TreeAnswer) -> bool:
    """Whether the tree's Makefile.build reads single targets from KBUILD_SINGLE_TARGETS (up to 5.19), not goals."""
    makefile = answer.tree.source / "scripts/Makefile.build"
    return b"KBUILD_SINGLE_TARGETS" in makefile.read_bytes()


def _missing_source_hint(stderr: str, cwd: str, said: str) -> str:
    missing = _NO_SOURCE.search(stderr)
    if not missing:
        return ""
    meant = similar_file(Path(cwd, f"{missing.group(1)}.c"), (".c", ".S", ".rs", "_shipped"))
    return f"is {missing.group(1)}.c missing, or misspelled in {said}? {meant}".rstrip()

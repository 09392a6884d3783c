# SPDX-License-Identifier: GPL-2.0-only
"""Tells what the kernel trees know about the errors of an object that did not compile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kbuildpy.advice.compile_errors import CompileScene, compile_advice
from kbuildpy.advice.compiler_messages import missing_names
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.compile_again import messages_of, preprocessed
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.rules import COMPILE_RULES, SINGLE_RULES
from kbuildpy.scons.group import Group
from kbuildpy.scons.tell_advice import tell_advice, wants_advice


def advise_compile(group: Group, job: Job) -> None:
    """Ask the compiler of `job` once more what it says, and print what is known about that."""
    step = next((step for step in job.steps if step.rule in COMPILE_RULES | SINGLE_RULES), None)
    if step is None or job.stand_in is not None or not wants_advice(group):
        return
    missing = missing_names(messages_of(job, step))
    if not missing:
        return
    layout, tree = job.layout, group.project.tree
    scene = CompileScene(
        tree,
        layout.relative(job.target),
        preprocess=lambda: preprocessed(job, step),
        others=OtherKernels(tree),
        directory=Path(layout.find(layout.evaluated)),
    )
    try:
        advice, left_out = compile_advice(scene, missing)
    except (KbuildError, OSError):
        return  # (the compiler's own error stands)
    found = [
        replace(each, places=tuple(place._replace(file=_shown(place.file, job)) for place in each.places))
        for each in advice
    ]
    with group.lock:
        tell_advice(group, found, left_out)


def _shown(file: str, job: Job) -> str:
    """The path of a source as people know it."""
    return job.layout.nominal(job.layout.absolute(file))

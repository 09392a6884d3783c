# SPDX-License-Identifier: GPL-2.0-only
"""Notes what a group's build was called with, before a module of it is linked (`kbuild/call_note.py`)."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.kbuild.call_note import BuildCall, deciding_environment, note_call
from kbuildpy.scons.group import Group


def note_call_of(group: Group) -> None:
    """Write the note for `group`, once in a run."""
    if group.is_noted:
        return
    group.is_noted = True
    project = group.project
    makefiles = [path for plan, _, _ in group.plans for path in plan.makefiles]
    fast = "FAST=1" if project.precompiled_sources else ""
    call = BuildCall(
        directory=group.directory,
        objects=str(project.tree.objects),
        variables={name: value for name, value in project.answer.variables if name != "V"},
        environment=deciding_environment(project.environ, makefiles),
        declared=tuple(dict.fromkeys(group.declared)),
        other_bytes="COVERAGE=1" if project.coverage else fast,
    )
    note_call(Path(group.out), call)

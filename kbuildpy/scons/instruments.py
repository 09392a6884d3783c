# SPDX-License-Identifier: GPL-2.0-only
"""What instrumented modules (COVERAGE=1) are built with: the objects that they are linked with, and the module that
watches them in the guest, which is one more group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbuildpy.coverage.guest_module import check_compiler, gcov_of, make_tools, wrapped_in, write_sources
from kbuildpy.coverage.instrument import Tools, instrumented
from kbuildpy.coverage.record import GUEST, InstrumentedBuild, write_record
from kbuildpy.kbuild.check_paths import has_kbuild_file
from kbuildpy.kbuild.evaluation import evaluate, look_at
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import Plan
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.find_group import find_group
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_nodes import add_plan
from kbuildpy.scons.options import job_count
from kbuildpy.scons.project import KernelProject


class Instruments:
    """What the instrumented modules of one project are built with."""

    tools: Tools
    """What their objects are linked with."""
    group: Group | None
    """The group of the module that watches; None in a run that makes nothing, before one that does."""
    node: Any
    """The node of that module."""

    def __init__(self, project: KernelProject, place: Path) -> None:
        check_compiler(project.answer.compiler, project.tree.release)
        wrapped = wrapped_in(project.tree)
        makes = not project.read_only
        self.tools = make_tools(
            place, project.tree, wrapped, programs=project.answer.programs, environ=project.environ, makes=makes
        )
        self.group, self.node = None, None
        if makes:
            write_sources(place / "source", wrapped)
        if has_kbuild_file(place / "source"):
            self.group = _declare(project, place / "source", place / "built")
            self.node = self.group.file(f"{self.group.out}/{GUEST}.ko")


def add_instrumented(group: Group, plan: Plan, layout: Layout) -> list[Any]:
    """Declare the modules of `plan`, instrumented, with the module that watches them; their nodes. Raises `KbuildError`
    for a compiler that cannot instrument."""
    project = group.project
    known = session_of(project.env).instruments
    if project not in known:
        known[project] = Instruments(project, Path(group.out) / ".kbuildpy/instruments")
    instruments = known[project]
    if instruments.group is not None:
        group.extra_symbols[f"{instruments.group.out}/Module.symvers"] = None
        if not project.read_only:
            write_record(_record(group, instruments))
    made = add_plan(group, instrumented(plan, instruments.tools), layout)
    if instruments.node is not None:
        project.env.Depends(made, instruments.node)
    for item in plan.objects:
        # (the compiler writes notes beside the object, which a shared cache would not have)
        node = group.file(layout.actual(item.target))
        project.env.Clean(node, f"{layout.actual(item.target).removesuffix('.o')}.gcno")
        node.set_nocache()
    return made


def _declare(project: KernelProject, source: Path, out: Path) -> Group:
    if project.read_only:
        found = look_at(project.answer, source, out, environ=project.environ)
    else:
        found = evaluate(project.answer, source, out, environ=project.environ, jobs=job_count(project.env))
    group = find_group(session_of(project.env), project, str(source), str(out))
    add_plan(group, found.plan, found.layout)
    return group


def _record(group: Group, instruments: Instruments) -> InstrumentedBuild:
    tree = group.project.tree
    return InstrumentedBuild(
        out=Path(group.out),
        directory=Path(group.directory),
        gcov=gcov_of(group.project.answer.programs["CC"]),
        trees=(tree.source, tree.objects),
        guest=Path(instruments.node.get_abspath()),
    )

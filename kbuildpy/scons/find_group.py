# SPDX-License-Identifier: GPL-2.0-only
"""The group of modules that a declaration belongs to, by the place of its output."""

from __future__ import annotations

from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.check_paths import check_output_name
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_nodes import find_extra_symvers, new_group
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.session import Session
from kbuildpy.scons.single_target_words import offer_single_targets


def find_group(session: Session, project: KernelProject, directory: str, out: str, *, label: str = "") -> Group:
    """The group with output in `out`, made if it does not exist yet; `label` is as in `Group`.

    Raises `KbuildError` where modules of another directory or project are built there, `UsageError` for an output
    directory that cannot be one.
    """
    group = session.groups.get(out)
    if group is None:
        check_output_name(Path(out))
        group = session.groups[out] = new_group(project, directory, out, label=label, neighbours=session.groups)
        if COMMAND_LINE_TARGETS:
            offer_single_targets(project.env, session.groups)
        for other in session.groups.values():
            find_extra_symvers(other)
    elif group.directory != directory or group.project is not project:
        raise KbuildError(
            f"{out}: modules of {_difference(group, directory, project)} would both be built there",
            hint="use the same variables for both, or another output directory for one (KBUILD_OUT, VariantDir())",
        )
    return group


def _difference(group: Group, directory: str, project: KernelProject) -> str:
    """The difference between `group` and a group for `directory` and `project`, a phrase."""
    if group.directory != directory:
        return f"{group.directory} and of {directory}"
    one, other = group.project, project
    if one.tree.objects != other.tree.objects:
        return f"{directory} for {one.tree.objects} and for {other.tree.objects}"
    if one.check != other.check:
        return f"{directory} with and without CHECK=0"
    names = [
        f"{name}={here.get(name, '')} and {name}={there.get(name, '')}"
        for here, there in (
            (dict(one.answer.variables), dict(other.answer.variables)),
            (one.environ, other.environ),
        )
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    return f"{directory} with {', '.join(names[:3]) or 'different variables'}"

# SPDX-License-Identifier: GPL-2.0-only
"""The results of a build for several kernels: for people a line for each, for programs an object for each module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SCons.Node
from SCons.Script import GetBuildFailures

from kbuildpy.kbuild.result_object import result_object
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.scons.group import Group

_REFUSED = "the Kbuild file, or the kernel tree (above)"


@dataclass(frozen=True)
class ModuleOutcome:
    """The result for one module, or for a single target."""

    file: str
    """The path of the `.ko`."""
    built: bool
    """It is there as it should be."""
    made: bool
    """It was made in this run."""
    help: tuple[dict[str, object], ...] = ()
    """What was told beside the messages about it, as JSON (`Advice.to_json`)."""


@dataclass(frozen=True)
class Outcome:
    """The result for the modules of one kernel."""

    release: str
    """The kernel."""
    label: str
    """The name of the folder of its output: the release, where no other tree of this release has it."""
    modules: tuple[ModuleOutcome, ...] | None
    """Its modules; None where the tree could not be asked for them."""
    failed: str
    """The first failure, "" if there was none."""

    @property
    def built(self) -> int:
        """How many modules are as they should be."""
        return sum(module.built for module in self.modules or ())

    @property
    def result(self) -> str:
        """As text."""
        modules = self.modules or ()
        if self.failed:
            return f"failed: {self.failed}"
        if self.built < len(modules):
            return "not finished"
        return "built" if any(module.made for module in modules) else "up to date"


def build_outcomes(trees: Iterable[KernelTree], folders: Iterable[Path], groups: Iterable[Group]) -> list[Outcome]:
    """The outcome for each of `trees`, whose output is in `folders`, once SCons is done with `groups` (those that could
    be declared)."""
    of_tree = {group.project.tree.objects: group for group in groups}
    failures = [(str(_node_path(failure)), str(failure.errstr)) for failure in GetBuildFailures()]
    return [
        _outcome(tree.release, folder.name, of_tree.get(tree.objects), failures)
        for tree, folder in zip(trees, folders, strict=True)
    ]


def as_table(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of a table, a kernel each."""
    rows = [("KERNEL", "MODULES", "RESULT")]
    rows += [(item.label, f"{item.built} of {len(item.modules or ())}", item.result) for item in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"  {row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows]


def as_json(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """For each module and kernel its `result_object()`. A kernel that could not be asked has one without a file."""
    found: list[dict[str, object]] = []
    for outcome in outcomes:
        for module in outcome.modules or ():
            found.append(
                result_object(
                    outcome.release,
                    module.file,
                    module_name(module.file),
                    built=module.built,
                    made=module.made,
                    error=None if module.built else outcome.failed or "not finished",
                    help_objects=module.help,
                )
            )
        if outcome.modules is None:
            found.append(result_object(outcome.release, error=outcome.failed))
    return found


def _outcome(release: str, label: str, group: Group | None, failures: Iterable[tuple[str, str]]) -> Outcome:
    if group is None:
        return Outcome(release, label, None, _REFUSED)
    failed = next((text for path, text in failures if path.startswith(f"{group.out}/")), "")
    if group.asked is not None:
        return Outcome(release, label, tuple(_module_outcome(group, node) for node in group.asked), failed)
    outcomes = []
    for module, layout in group.modules:
        ko = f"{layout.relative(module.name)}.ko"
        objects = map(layout.relative, (module.target, *module.objects))
        outcomes.append(_module_outcome(group, group.file(f"{group.out}/{ko}"), objects))
    return Outcome(release, label, tuple(outcomes), failed)


def _module_outcome(group: Group, node: Any, objects: Iterable[str] = ()) -> ModuleOutcome:
    made = node.get_state() == SCons.Node.executed
    path = node.get_abspath()
    own = {path.removeprefix(f"{group.out}/"), *objects} if group.advice else set()
    help = tuple(advice.to_json() for advice in group.advice if own.intersection(advice.files))
    return ModuleOutcome(path, made or node.get_state() == SCons.Node.up_to_date, made, help)


def _node_path(failure: Any) -> Path:
    node = failure.node[0] if isinstance(failure.node, list) else failure.node
    return Path(node.get_abspath())

"""What came of a build for several kernels: a line for each, when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.kernel.own_modules import module_name

if TYPE_CHECKING:
    from kbuildpy.scons.group import Group


@dataclass(frozen=True)
class Outcome:
    """Of the kernel `release`: how many of its `modules` are `good` (as they should be), whether any was `made` in
    this run, and what `failed` first ("" for nothing)."""

    release: str
    modules: int
    good: int
    made: bool
    failed: str

    @property
    def result(self) -> str:
        """In words."""
        if self.failed:
            return f"failed: {self.failed}"
        if self.good < self.modules:
            return "not finished"
        return "built" if self.made else "up to date"


def build_outcomes(releases: Iterable[str], groups: Iterable[Group]) -> list[Outcome]:
    """The outcome for each of `releases`, once SCons is done with `groups` (those that could be declared)."""
    import SCons.Node

    of_release = {group.project.tree.release: group for group in groups}
    found = []
    for release in releases:
        group = of_release.get(release)
        if group is None:
            found.append(Outcome(release, 0, 0, made=False, failed=_REFUSED))
            continue
        states = [node.get_state() for node in _nodes(group)]
        good = sum(state in (SCons.Node.up_to_date, SCons.Node.executed) for state in states)
        found.append(Outcome(release, len(states), good, made=SCons.Node.executed in states, failed=_failure(group)))
    return found


def module_results(releases: Iterable[str], groups: Iterable[Group]) -> list[dict[str, object]]:
    """For each module and kernel an object: its `file`, `kernel` and `name`, whether it is `built` (there as it should
    be), whether it was `made` in this run, and the `error`. A kernel that could not be asked has one without a file."""
    import SCons.Node

    of_release = {group.project.tree.release: group for group in groups}
    found: list[dict[str, object]] = []
    for release in releases:
        group = of_release.get(release)
        if group is None:
            blank = {"file": None, "kernel": release, "name": None}
            found.append({**blank, "built": False, "made": False, "error": _REFUSED})
            continue
        for node in _nodes(group):
            made = node.get_state() == SCons.Node.executed
            built = made or node.get_state() == SCons.Node.up_to_date
            path = node.get_abspath()
            said = {"file": path, "kernel": release, "name": module_name(path), "built": built, "made": made}
            found.append({**said, "error": None if built else _failure(group) or "not finished"})
    return found


_REFUSED = "the Kbuild file, or the kernel tree (above)"


def _nodes(group: Group) -> list[Any]:
    return [group.file(f"{group.out}/{layout.relative(module.name)}.ko") for module, layout in group.modules]


def _failure(group: Group) -> str:
    """What failed first in `group`, "" for nothing."""
    from SCons.Script import GetBuildFailures

    failures = ((str(_node_path(failure)), str(failure.errstr)) for failure in GetBuildFailures())
    return next((text for path, text in failures if path.startswith(f"{group.out}/")), "")


def as_table(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of a table."""
    rows = [("KERNEL", "MODULES", "RESULT")]
    rows += [(item.release, f"{item.good} of {item.modules}", item.result) for item in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"  {row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows]


def _node_path(failure: Any) -> Path:
    node = failure.node[0] if isinstance(failure.node, list) else failure.node
    return Path(node.get_abspath())

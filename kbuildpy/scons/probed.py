# SPDX-License-Identifier: GPL-2.0-only
"""The probes of a project, their answers, and the node of the header that has them.

Modules are declared in a project of their own, which has the answers as variables for make. The kernel tree is not
asked again for it: what it decides does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.probes.answer_probes import answer_probes
from kbuildpy.probes.probe import Probe
from kbuildpy.probes.probes_file import read_probes
from kbuildpy.probes.results import FOLDER, HEADER, header_text, kbuild_variables
from kbuildpy.scons.actions import KbuildAction, bind, write_text
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.contents import Contents
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.options import is_cleaning
from kbuildpy.scons.project import KernelProject


class ProjectProbes:
    """The probes that were declared for a project."""

    project: KernelProject
    """The project, without their answers."""
    out: Path
    """Where its output goes: the header is in a folder there."""
    node: Any
    """The node of the header."""
    probes: list[Probe]
    """The probes in the order of their declaration."""

    def __init__(self, project: KernelProject, out: Path) -> None:
        self.project = project
        self.out = out
        self.probes = []
        self._answers: dict[str, bool] | None = None
        self._answered: KernelProject | None = None
        self.node = file_node(project.env, out / FOLDER / HEADER)
        self.node.attributes.kbuildpy_contents = Contents(out / ".kbuildpy/probes.json")
        bind(project.env, [self.node], [], _HeaderAction(self))

    def add(self, probes: Sequence[Probe]) -> None:
        """Add `probes`. Raises `UsageError` for a name that is declared already, and when modules have the answers."""
        if self._answered is not None:
            raise UsageError(
                f"{probes[0].where()}: declared behind a module, which needs the answers",
                hint="declare probes before the modules for the same kernel",
            )
        known = {probe.name: probe for probe in self.probes}
        for probe in probes:
            if probe.name in known:
                raise UsageError(
                    f"{probe.where()}: this name was declared before ({known[probe.name].place})",
                    hint="give each probe a name of its own",
                )
            known[probe.name] = probe
            self.probes.append(probe)
        self._answers = None

    def answers(self) -> dict[str, bool]:
        """Yes or no by name. Raises what `answer_probes` raises."""
        if self._answers is None:
            asked = answer_probes(self.project.answer, self.probes, environ=self.project.environ)
            self._answers = dict(asked.found)
        return self._answers

    def text(self) -> str:
        """The text of the header."""
        return header_text(self.answers(), self.project.tree.release)

    def answered(self, env: Any) -> KernelProject:
        """The project with the answers, and the header written: the Kbuild file's own rules may read it. Raises what
        `answer_probes` raises, but for a run that removes built files."""
        if self._answered is None:
            plain = self.project
            try:
                variables = kbuild_variables(self.answers(), str(self.out / FOLDER))
            except KbuildError:
                if not is_cleaning(env):
                    raise
                variables = {}
            answer = _with_variables(plain.answer, variables, unset=[probe.name for probe in self.probes])
            project = KernelProject(env, answer, plain.environ, plain.top, check=plain.check, coverage=plain.coverage)
            project.probes = str(self.out / FOLDER)
            session_of(env).projects[digest(str(self.out)), plain] = project
            if not plain.read_only:
                write_header(self.node, self.text())
            self._answered = project
        return self._answered


def add_probes(env: Any, project: KernelProject, probes: Sequence[Probe], out: Path) -> list[Any]:
    """Declare `probes` in `project`, whose output goes to `out`; the node of the header."""
    known = session_of(env).probes
    if project not in known:
        known[project] = ProjectProbes(project, out)
    if known[project].out != out:
        raise UsageError(
            f"{out}: the answers to this kernel's probes go to {known[project].out}",
            hint="use one output directory (KBUILD_OUT) for all probes of a kernel",
        )
    if probes:
        known[project].add(probes)
    return [known[project].node]


def add_probes_of(file: Path, env: Any, project: KernelProject, out: Path) -> list[Any]:
    """The same for the probes that `file` names (probes.toml)."""
    return add_probes(env, project, read_probes(file), out)


def _with_variables(answer: TreeAnswer, variables: Mapping[str, str], *, unset: Iterable[str]) -> TreeAnswer:
    """`answer` with `variables` for the Kbuild files: make gets them in its environment, where those of `unset` that
    are not among them are removed."""
    merged = {**dict(answer.variables), **variables}
    environment = {**answer.environment, **dict.fromkeys(unset), **variables}
    return replace(answer, variables=tuple(sorted(merged.items())), environment=environment)


def write_header(node: Any, text: str) -> None:
    """Write the header, unless it says the same already."""
    path = Path(node.get_abspath())
    try:
        if path.read_text() == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    write_text(node, text)


class _HeaderAction(KbuildAction):
    """Writes the header; signed with its text."""

    def __init__(self, probes: ProjectProbes) -> None:
        several = session_of(probes.project.env).builds_for_several
        label = f"{probes.project.tree.release}/" if several else ""
        super().__init__(self._write, title=f"  PROBE   {label}{FOLDER}/{HEADER}", signature="")
        self._probes = probes

    def get_presig(self, target: Any, source: Any, env: Any, executor: Any = None) -> bytes:
        """The text; of probes that have no answers nothing, so that they are asked, and fail, when it is made."""
        try:
            return self._probes.text().encode()
        except KbuildError:
            return b""

    def get_contents(self, target: Any, source: Any, env: Any, executor: Any = None) -> bytes:
        """The same."""
        return self.get_presig(target, source, env, executor)

    def _write(self, target: list[Any], source: list[Any]) -> None:
        write_header(target[0], self._probes.text())

# SPDX-License-Identifier: GPL-2.0-only
"""Notes a run of `kbuildpy build` that had nothing to do, so that the next one is done sooner (`finished_build`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import SCons
import SCons.Node
import SCons.Node.FS

import kbuildpy
from kbuildpy.kbuild.ask_tree import watched
from kbuildpy.kbuild.finished_build import AskedAgain, FinishedBuild, note_finished, states_before
from kbuildpy.kbuild.make_environment import asks_anew
from kbuildpy.kbuild.sources import walk_sources
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kbuild.transient_environment import mentions_transient
from kbuildpy.kbuild.tree_programs import searched_for_programs
from kbuildpy.scons.build_request import PROBES_FILE, BuildRequest
from kbuildpy.scons.group import Group
from kbuildpy.scons.keep_compile_commands import compile_commands_files
from kbuildpy.scons.variables import KNOWN_NAMES, NOT_FOR_MAKE

_LARGEST = 1 << 16
"""The length of the printed text up to which a run is noted."""
_MOST_FILES = 2000
"""The files among the sources up to which a run is noted whose variables are looked for in all of them."""


class RunInProgress:
    """A run that may turn out to have had nothing to do: what it prints, and what is known of it at its end."""

    def __init__(self, request: BuildRequest, key: str, *, began_ns: int) -> None:
        self.request = request
        self.key = key
        self.began_ns = began_ns
        self.succeeded = False
        """It ended without an error."""
        self.groups: list[Group] = []
        """What was declared in it."""
        self.printed: list[tuple[str, str]] = []
        """The name of a stream, and a text that was written to it."""
        self._streams = sys.stdout, sys.stderr
        self.listen()

    def listen(self) -> None:
        """Note all that is printed from now on. (SCons sets the streams back when its part is over.)"""
        out, errors = self._streams
        sys.stdout = cast("TextIO", _Noted(out, "stdout", self.printed))
        sys.stderr = cast("TextIO", _Noted(errors, "stderr", self.printed))

    def end(self) -> None:
        """Note the run, if it had nothing to do. To be called when nothing will be printed any more."""
        sys.stdout, sys.stderr = self._streams
        if self.succeeded and not _was_anything_made():
            build = _finished(self)
            if build is not None:
                note_finished(self.request.finished, self.key, build)


class _Noted:
    """A stream that notes all that is written to it."""

    def __init__(self, stream: TextIO, name: str, texts: list[tuple[str, str]]) -> None:
        self._stream = stream
        self._name = name
        self._texts = texts

    def write(self, text: str) -> int:
        """Write `text`, and note it."""
        self._texts.append((self._name, text))
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _was_anything_made() -> bool:
    return any(node.get_state() in (SCons.Node.executed, SCons.Node.failed) for node in _nodes())


def _finished(run: RunInProgress) -> FinishedBuild | None:
    """What `run` looked at; None for a run that cannot be told by files and directories alone."""
    request, groups = run.request, run.groups
    environ = dict(os.environ)
    plans = [plan for group in groups for plan, _, _ in group.plans]
    if (request.directory / PROBES_FILE).exists() or sum(len(text) for _, text in run.printed) > _LARGEST:
        return None
    for group in groups:
        project = group.project
        if group.overlays or dict(project.environ) != environ or asks_anew(dict(project.answer.variables), environ):
            return None
    # (the note is found by a key without such variables)
    if mentions_transient([path for plan in plans for path in plan.makefiles], {**environ, **request.variables}):
        return None
    changeable = [(group, plan) for group in groups for plan, _, _ in group.plans if plan.changeable]
    if changeable and {*NOT_FOR_MAKE, "CHECK"} & (request.variables.keys() | environ.keys()):
        return None
    # (where a variable is in no makefile, all scripts are searched for it)
    searched = {} if KNOWN_NAMES.issuperset(request.variables) else dict(walk_sources(request.directory))
    searched_files = [path for paths in searched.values() for path in paths]
    if len(searched) + len(searched_files) > _MOST_FILES:
        return None
    folders = {*searched, *(folder for plan in plans for folder in plan.listed)}
    files = {
        *_paths(request, groups),
        *searched_files,
        *(makefile for plan in plans for makefile in plan.makefiles),
    } - folders
    states = states_before(run.began_ns, files, folders)
    if states is None:
        return None
    again = [
        AskedAgain(
            str(group.project.tree.objects),
            group.project.answer.variables,
            group.directory,
            group.out,
            digest(plan),
        )
        for group, plan in changeable
    ]
    return FinishedBuild(run.printed, states, sorted(folders), again)


def _nodes() -> Iterator[Any]:
    """Every node of SCons' for a file or a directory."""
    waiting = list(SCons.Node.FS.get_default_fs().Root.values())
    seen = set()
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting += [found for name, found in getattr(node, "entries", {}).items() if name not in (".", "..")]


def _paths(request: BuildRequest, groups: Iterable[Group]) -> Iterator[str]:
    """The files that a run looks at: those of its graph, the kernel's headers, the kernel trees' own, and our code."""
    for node in _nodes():
        yield node.get_abspath()
    for group in groups:
        yield from group.freshness.files()
        yield from watched(group.project.answer, group.project.environ)
        yield from searched_for_programs(group.project.answer.programs, group.project.environ)
    yield str(request.directory / PROBES_FILE)
    yield from compile_commands_files(request)
    places = tuple(str(Path(str(module.__file__)).parent) for module in (kbuildpy, SCons))
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.startswith(places):
            yield file

# SPDX-License-Identifier: GPL-2.0-only
"""Warnings of variables that nothing reads, whether they stand on the command line or in a declaration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import SCons.Node

from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.unread import unmentioned, unread_variables, variables_in
from kbuildpy.scons.declaration_place import declaration_place
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.session import Session
from kbuildpy.scons.variables import FLAG_NAMES, KNOWN_NAMES, SET_BY_US, is_kbuild_name
from kbuildpy.similar import did_you_mean

_MOST_FILES = 5000


def warn_of_unread(session: Session, project: KernelProject, plan: Plan, given: Mapping[str, Any]) -> None:
    """Warn of those of `given` (a declaration's variables) that nothing reads; and note those of the command line's
    that are read."""
    if not session.unread_arguments and KNOWN_NAMES.issuperset(given):
        return
    # (of the tree's, the answer knows those that the top one includes)
    scripts = [f"{project.tree.source}/scripts/Makefile.{name}" for name in ("lib", "build", "modpost", "modfinal")]
    makefiles = (*plan.makefiles, *project.answer.makefiles, *scripts)
    for name in SET_BY_US.intersection(given):
        _warn_of_place(session, name, given[name])
    meant = lambda: (*KNOWN_NAMES, *FLAG_NAMES, *variables_in(plan.makefiles))  # noqa: E731
    _warn_of_declared(session, given, makefiles, plan.directory, meant)
    waiting = session.unread_arguments
    session.unread_arguments = set(unread_variables(waiting, makefiles, plan.directory)) if waiting else waiting


def warn_of_unread_install(session: Session, project: KernelProject, given: Mapping[str, Any]) -> None:
    """The same for variables of modules_install."""
    if KNOWN_NAMES.issuperset(given):
        return
    tree = project.tree.source
    makefiles = [str(tree / name) for name in ("Makefile", "scripts/Makefile.modinst", "scripts/Makefile.lib")]
    _warn_of_declared(session, given, makefiles, "", lambda: KNOWN_NAMES)


def _warn_of_declared(
    session: Session,
    given: Mapping[str, Any],
    makefiles: Sequence[str],
    directory: str,
    meant: Callable[[], Iterable[str]],
) -> None:
    names = [name for name in given if name not in KNOWN_NAMES]
    for name in unread_variables(names, makefiles, directory) if names else ():
        asked = did_you_mean(name, meant(), cutoff=0.6)
        _warn(session, f"{declaration_place()}{name}={given[name]}: nothing reads this variable", asked)


def warn_at_the_end(session: Session, arguments: Mapping[str, Any]) -> None:
    """Warn of variables on scons's command line that no declaration read, and of which no SConscript file has a word.

    (Not before all of these are read.)
    """
    left = [name for name in arguments if name in SET_BY_US or name in session.unread_arguments]
    left += [name for name in arguments if not is_kbuild_name(name) and name not in KNOWN_NAMES | SET_BY_US]
    for name in _unmentioned(left, session.top) if left else ():
        if name in SET_BY_US:
            _warn_of_place(session, name, arguments[name])
        else:
            meant = did_you_mean(name, KNOWN_NAMES, cutoff=0.6)
            _warn(session, f"{name}={arguments[name]}: nothing reads this variable", meant)


def _warn_of_place(session: Session, name: str, value: object) -> None:
    _warn(session, f"{name}={value} has no effect: directories are named in the call", "")


def _warn(session: Session, text: str, meant: str) -> None:
    session.complain_once(f"kbuildpy: warning: {text}{'; ' if meant else ''}{meant}")


def _unmentioned(names: Iterable[str], top: Path) -> list[str]:
    """Those of `names` that are in none of the SConscript files that SCons has read, and in none of Python's below
    `top`; none of them if there are too many files to tell."""
    words = [name for name in names if name.isidentifier()]
    read = (Path(node.rfile().get_abspath()) for node in SCons.Node.SConscriptNodes)
    return unmentioned(words, (*read, *_python_files(top))) if words else []


def _python_files(top: Path) -> Iterator[Path | None]:
    """The files below `top` that SConscript files may import; None for too many."""
    seen = 0
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += len(files)
        if seen > _MOST_FILES:
            yield None
            return
        yield from (Path(folder, name) for name in files if name.endswith((".py", ".scons")))

"""Warnings of variables that nothing reads, whether they stand on the command line or in a declaration."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.kbuild.unread import unread_variables, variables_in
from kbuildpy.say import complain
from kbuildpy.scons.variables import FLAG_NAMES, KNOWN_NAMES, SET_BY_US, is_kbuild_name
from kbuildpy.scons.where import declaration_place
from kbuildpy.similar import did_you_mean

if TYPE_CHECKING:
    from kbuildpy.kbuild.plan import Plan
    from kbuildpy.scons.session import Project, Session

_SCRIPTS = re.compile(r"^(SConstruct|Sconstruct|sconstruct|SConscript|Sconscript|sconscript)|\.(py|scons)$")
_MOST_FILES = 5000


def warn_of_unread(session: Session, project: Project, plan: Plan, given: Mapping[str, Any]) -> None:
    """Warn of those of `given` (a declaration's variables) that nothing reads; and take note of what is read of the
    command line's."""
    makefiles = (*plan.makefiles, *project.answer.makefiles)
    _warn_of_places(session, given)
    meant = lambda: (*KNOWN_NAMES, *FLAG_NAMES, *variables_in(plan.makefiles))  # noqa: E731
    _warn_of_declared(session, given, makefiles, plan.directory, meant)
    waiting = session.unread_arguments
    session.unread_arguments = set(unread_variables(waiting, makefiles, plan.directory)) if waiting else waiting


def warn_of_unread_install(session: Session, project: Project, given: Mapping[str, Any]) -> None:
    """The same for variables of modules_install."""
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


def warn_of_arguments(session: Session, arguments: Mapping[str, Any]) -> set[str]:
    """Warn of variables on scons's command line that are not Kbuild's, and that no SConscript file has a word about;
    those that are Kbuild's by their looks, and that only the declarations can tell of."""
    others = [name for name in arguments if not is_kbuild_name(name) and name not in KNOWN_NAMES | SET_BY_US]
    for name in _unmentioned(others, session.top) if others else ():
        meant = did_you_mean(name, KNOWN_NAMES, cutoff=0.6)
        _warn(session, f"{name}={arguments[name]}: nothing reads this variable", meant)
    _warn_of_places(session, arguments)
    return {name for name in arguments if is_kbuild_name(name) and name not in KNOWN_NAMES | SET_BY_US}


def warn_at_the_end(session: Session, arguments: Mapping[str, Any]) -> None:
    """Warn of those that no declaration read."""
    for name in sorted(session.unread_arguments):
        _warn(session, f"{name}={arguments.get(name)}: nothing has read this variable", did_you_mean(name, KNOWN_NAMES))


def _warn_of_places(session: Session, given: Mapping[str, Any]) -> None:
    for name in SET_BY_US.intersection(given):
        _warn(session, f"{name}={given[name]} changes nothing: directories are named in the call", "")


def _warn(session: Session, text: str, meant: str) -> None:
    line = f"kbuildpy: warning: {text}{'; ' if meant else ''}{meant}"
    if session.say_once(line):
        complain(line)


def _unmentioned(names: Iterable[str], top: Path) -> list[str]:
    left = [name for name in names if name.isidentifier()]
    seen = 0
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            seen += 1
            if not _SCRIPTS.search(name) or seen > _MOST_FILES or not left:
                continue
            text = Path(folder, name).read_text(errors="replace")
            left = [name for name in left if not re.search(rf"\b{name}\b", text)]
    return left

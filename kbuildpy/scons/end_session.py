# SPDX-License-Identifier: GPL-2.0-only
"""Ends a run of SCons, whether it succeeded or not: saves indexes, and warns of variables that had no effect."""

from __future__ import annotations

from pathlib import Path

from SCons.Script import ARGUMENTS

from kbuildpy.install.undo import undo_call
from kbuildpy.say import complain
from kbuildpy.scons import interrupts
from kbuildpy.scons.cleaning import remove_empty_folders, remove_empty_parents
from kbuildpy.scons.session import Session
from kbuildpy.scons.unread import warn_at_the_end
from kbuildpy.scons.variables import KNOWN_NAMES

_SECRET = ("KBUILD_SIGN_PIN",)


def end_session(session: Session) -> None:
    """Called when the run of `session` is over."""
    if ARGUMENTS and session.groups and (session.unread_arguments or not KNOWN_NAMES.issuperset(ARGUMENTS)):
        warn_at_the_end(session, ARGUMENTS)
    interrupts.tell()
    if session.newly_installed and not session.is_silent:
        _tell_undo(session)
    if session.trace is not None:
        session.trace.end_trace()
    for project in session.projects.values():
        if not project.read_only:
            project.headers.save()
    for group in session.groups.values():
        if not group.project.read_only:
            group.freshness.save()
            group.contents.save()
        group.unfinished.end()
    if session.removes:
        for out in session.groups:
            remove_empty_folders(Path(out), stop=session.top)
        for folder, stop in session.installed:
            remove_empty_parents(folder, stop=stop)


def _tell_undo(session: Session) -> None:
    variables = [f"{name}={value}" for name, value in ARGUMENTS.items() if name not in _SECRET]
    releases = dict.fromkeys(release for release, _ in session.newly_installed)
    complain(undo_call(["scons", "-c", "install", *variables], [*releases], count=len(session.newly_installed)))

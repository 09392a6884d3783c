# SPDX-License-Identifier: GPL-2.0-only
"""Ends a run of SCons, whether it succeeded or not: saves indexes, and warns of variables that had no effect."""

from __future__ import annotations

from pathlib import Path

from SCons.Script import ARGUMENTS

from kbuildpy.install.undo import undo_sentence
from kbuildpy.say import complain
from kbuildpy.scons import interrupts
from kbuildpy.scons.cleaning import remove_empty_folders, remove_empty_parents
from kbuildpy.scons.session import Session
from kbuildpy.scons.unread import warn_at_the_end
from kbuildpy.scons.variables import KNOWN_NAMES


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
    # (not `scons -c install`, which would also remove what earlier runs have installed)
    for release in dict.fromkeys(release for release, _ in session.newly_installed):
        complain(undo_sentence([path for other, path in session.newly_installed if other == release], release))

# SPDX-License-Identifier: GPL-2.0-only
"""Runs modpost over the modules of a group, once in a run."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.scons.check_wanted import check_is_wanted
from kbuildpy.scons.group import Group
from kbuildpy.scons.project import KernelProject

if TYPE_CHECKING:
    from kbuildpy.modpost.stage import ModpostResult


def modpost_result(group: Group, *, again: bool) -> ModpostResult:
    """What modpost finds in all modules of `group`; without `again` an earlier result of this run is good.

    Prints its diagnostics. Raises `CommandError` when it found errors, `KbuildError` for modules that need each other.
    """
    with group.lock:
        if group.modpost_result is None or again:
            from kbuildpy.scons.call_modpost import call_modpost  # (slow, and not for a build with nothing to do)

            group.modpost_result = call_modpost(group)
        return group.modpost_result


def prepare_modpost(group: Group) -> None:
    """Do what modpost and the check after the link will need while the first compiler runs: half of their time for a
    small module is that."""
    if group.modules and not group.is_prepared:
        group.is_prepared = True
        # (not a daemon: Python waits for it at its end. An import in a daemon thread at that moment crashes the
        # process, as the lock of imports is freed)
        threading.Thread(target=_prepare, args=(group.project,)).start()


def _prepare(project: KernelProject) -> None:
    from kbuildpy.scons.call_modpost import prepare_call  # (slow, and not for a build with nothing to do)

    project.headers.load()
    prepare_call(project)
    # (after a compiler that failed, the main thread may have ended, and waits for this one)
    if threading.main_thread().is_alive() and check_is_wanted(project):
        from kbuildpy.scons.post_build_check import prepare_check  # (slow: the loader's rules)

        # (the check of a module reports the error; and a build that ends meanwhile removes temporary directories)
        with suppress(KbuildError, OSError):
            prepare_check(project)

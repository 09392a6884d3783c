# SPDX-License-Identifier: GPL-2.0-only
"""Begins the session of a run of SCons, with the first declaration."""

from __future__ import annotations

import atexit
import gc
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from SCons.Script import ARGUMENTS

from kbuildpy.pin import take_pin
from kbuildpy.scons import interrupts
from kbuildpy.scons.end_session import end_session
from kbuildpy.scons.options import is_cleaning, is_dry_run, is_silent
from kbuildpy.scons.session import Session
from kbuildpy.scons.variables import KNOWN_NAMES, is_kbuild_name


def session_of(env: Any) -> Session:
    """The session that `env` belongs to: one for each file system object of SCons, that is, for each run."""
    session = getattr(env.fs, "kbuildpy_session", None)
    if session is None:
        session = env.fs.kbuildpy_session = _begin(env)
    assert isinstance(session, Session)
    return session


def begin_trace(session: Session, files: Iterable[Path], *, began_ns: int) -> None:
    """Let the run of `session`, which began at `began_ns`, be traced into `files`. Raises `UsageError` for files that
    cannot be written."""
    from kbuildpy.scons.trace_build import TraceInProgress  # (slow, and seldom)

    session.trace = TraceInProgress(files, began_ns=began_ns)
    session.trace.listen()


def _begin(env: Any) -> Session:
    take_pin()
    session = Session(
        top=Path(env.Dir("#").get_abspath()).resolve(),
        default_environment=dict(env["ENV"]),
        removes=is_cleaning(env) and not is_dry_run(env),
        is_silent=is_silent(env),
        unread_arguments={name for name in ARGUMENTS if is_kbuild_name(name) and name not in KNOWN_NAMES},
    )
    traced = str(ARGUMENTS.get("KBUILD_TRACE", "")).split()
    if traced and not (is_cleaning(env) or is_dry_run(env)):
        begin_trace(session, map(Path, traced), began_ns=time.time_ns())
    interrupts.watch()
    atexit.register(gc.freeze)  # (called after what follows: the end of the process then collects no garbage)
    atexit.register(partial(end_session, session))
    return session

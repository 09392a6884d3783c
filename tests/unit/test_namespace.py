# SPDX-License-Identifier: GPL-2.0-only
"""Overlays that processes enter: what is ready before they begin, and what is left of one when something fails."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.child import end_with
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild import evaluation, namespace
from kbuildpy.kbuild.namespace import OverlayRefused, entry, leave
from kbuildpy.kbuild.overlay import Overlay


def test_an_overlay_is_left_where_asking_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Overlay] = []
    asked: list[Overlay] = []

    def ask_directory(*_: Any, overlay: Overlay, **__: Any) -> None:
        asked.append(overlay)
        raise KbuildError("make fails")

    monkeypatch.setattr(evaluation, "ask_directory", ask_directory)
    monkeypatch.setattr(evaluation, "leave", left.append)
    answer: Any = SimpleNamespace(working_directory=str)
    with pytest.raises(KbuildError, match="make fails"):
        evaluation.look_at(answer, tmp_path, tmp_path / "out", environ={})
    assert left == asked and len(left) == 1


def test_a_process_that_enters_is_told_to_end_when_its_parent_does(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("sources", "place", "out")]
    for folder in folders:
        folder.mkdir()
    made = Overlay(*map(str, folders))
    try:
        enter = entry(made, str(folders[0]))
    except OverlayRefused as refused:
        pytest.skip(str(refused))
    # (looked up by now: between fork and exec is no place for that)
    assert {"setns", "unshare", "mount"} <= vars(namespace._libc()).keys()

    def begin() -> None:
        enter()
        number = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(number))  # PR_GET_PDEATHSIG
        os.write(1, b"%d\n" % number.value)

    try:
        done = subprocess.run(
            ["sh", "-c", "pwd; echo x >written"], stdout=subprocess.PIPE, preexec_fn=begin, check=True
        )
    finally:
        written = (folders[1] / "upper/written").exists()
        leave(made)
    assert done.stdout.decode() == f"{signal.SIGTERM:d}\n{folders[0]}\n"
    assert written and not (folders[0] / "written").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_whose_parent_has_ended_does_not_begin(number: signal.Signals) -> None:
    # (as if it had been somebody else's by the time that it could ask to be told)
    done = subprocess.run(["echo", "began"], stdout=subprocess.PIPE, preexec_fn=partial(end_with, 1 << 30, number))
    assert (done.returncode, done.stdout) == (1, b"")

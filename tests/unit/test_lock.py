# SPDX-License-Identifier: GPL-2.0-only
"""A lock on an output that cannot be had leaves nothing open."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.lock import lock_output


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EDEADLK])
def test_a_lock_that_is_refused_leaves_no_file_open(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lockf(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", lockf)
    for _ in range(2):
        if number == errno.EDEADLK:
            with pytest.raises(KbuildError, match="waits for this build"):
                lock_output(tmp_path)
        else:
            lock_output(tmp_path)
    opened = {os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()}
    assert str(tmp_path / ".kbuildpy/lock") not in opened


def test_a_lock_that_is_had_stays(tmp_path: Path) -> None:
    lock_output(tmp_path)
    opened = {os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()}
    assert str(tmp_path / ".kbuildpy/lock") in opened

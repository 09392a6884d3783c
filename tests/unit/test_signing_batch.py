"""Signing many files: how many at a time, what their manifest is told, and whose error an error is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.signing import batch
from kbuildpy.signing.batch import Signed, sign_files
from tests.unit.test_signing_hostile import SIGNER


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_more_files_are_worked_on_than_there_are_jobs(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign(path: Path, *_: object) -> Signed:
        path.touch()
        working = len(list(tmp_path.iterdir()))
        time.sleep(0.01)
        path.unlink()
        return Signed(path, error=KbuildError(str(working)))

    # (the processes are forked, and inherit this)
    monkeypatch.setattr(batch, "_sign_file", sign)
    results = list(sign_files([tmp_path / f"{number}.ko" for number in range(64)], SIGNER, jobs=jobs))
    assert len(results) == 64
    most = max(int(item.error.message.rpartition(" ")[2]) for item in results if item.error)
    assert most <= jobs

# SPDX-License-Identifier: GPL-2.0-only
"""A matrix in job arrays of a real Slurm: the results of processes on this machine, whatever is lost meanwhile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from kbuildpy import cli
from kbuildpy.fleet import slurm as slurm_executor
from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import swept, trees
from tests.support.matrix_runs import KERNELS, matrix, wait_for_a_cell, write_two_modules
from tests.support.slurm import MISSING, Slurm

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not trees(), reason="no kernel headers here"),
    pytest.mark.skipif(bool(MISSING) or os.geteuid() != 0, reason="Slurm is not installed, or this is not root"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    found = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def own_slurm(tmp_path: Path) -> Iterator[Slurm]:
    """A cluster for one test: its controller forgets, when it is killed, what it has not saved."""
    (tmp_path / "slurm").mkdir()
    found = Slurm(tmp_path / "slurm")
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write_two_modules(tmp_path.resolve() / "p")


@pytest.mark.parametrize("word", ["slurm", *swept("slurm://1")])
def test_the_results_are_those_of_this_machine(word: str, place: Path, slurm: Slurm) -> None:
    assert matrix(place, "slurm", "--executor", word, env=slurm.environ) == matrix(place, "local")
    # (nothing is left besides the cells)
    assert not [path for path in (place / "slurm/cells").iterdir() if not path.is_dir()]


def test_it_goes_on_when_the_controller_is_killed_and_started_again(place: Path, own_slurm: Slurm) -> None:
    words = ["matrix", "m", *KERNELS, "-o", "slurm", "--executor", "slurm", "--format", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kbuildpy", *words], cwd=place, env=own_slurm.environ, text=True, stdout=subprocess.PIPE
    )
    wait_for_a_cell(place / "slurm")
    own_slurm.restart_controller()
    said, _ = own_slurm.output_of(process, timeout=240)
    assert (process.returncode, sorted(said.splitlines())) == matrix(place, "local")


def test_an_interrupt_cancels_the_job(place: Path, slurm: Slurm) -> None:
    words = ["matrix", "m", *KERNELS, "-o", "slurm", "--executor", "slurm"]
    process = subprocess.Popen([sys.executable, "-m", "kbuildpy", *words], cwd=place, env=slurm.environ)
    wait_for_a_cell(place / "slurm")
    process.terminate()
    assert process.wait(timeout=60) == 128 + 15
    end = time.monotonic() + 60
    while run(["squeue", "--noheader"], env=slurm.environ).text.strip() and time.monotonic() < end:
        time.sleep(0.2)
    assert not run(["squeue", "--noheader"], env=slurm.environ).text.strip()


def test_tasks_that_wait_are_told_with_slurm_s_reason(
    place: Path, own_slurm: Slurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm_executor, "_STILL", 0.0)
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, own_slurm.environ[name])
    monkeypatch.chdir(place)
    run(["scontrol", "update", f"nodename={own_slurm.host}", "state=drain", "reason=a_test"])
    again = Timer(6, own_slurm.resume)
    again.start()
    status = cli.main(["matrix", "m", *KERNELS[:2], "-o", "slurm", "--executor", "slurm"])
    again.join()
    said = capsys.readouterr()
    assert status == 0 and "passed" in said.out
    assert re.search(r"^kbuildpy: Slurm's job 1, tasks that wait: 1 .*DRAINED", said.err, re.MULTILINE)
    lines = said.err.splitlines()
    assert len(lines) == len({*lines})


def test_a_job_that_slurm_refuses_is_one_clear_error(place: Path, slurm: Slurm) -> None:
    environ = {**slurm.environ, "SBATCH_PARTITION": "nowhere"}
    done = kbuildpy("matrix", "m", *KERNELS, "--executor", "slurm", cwd=place, env=environ)
    assert done.returncode == 1 and "Slurm refuses the job" in done.error_text and "nowhere" not in done.text
    assert "Traceback" not in done.error_text

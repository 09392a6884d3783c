# SPDX-License-Identifier: GPL-2.0-only
"""A matrix on the workers of a Dask scheduler: the results of processes on this machine, whoever is lost meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import collect, kbuildpy
from tests.support.dask_cluster import Dask
from tests.support.kernel_trees import trees
from tests.support.matrix_runs import KERNELS, matrix, wait_for_a_cell, write_two_modules

pytest.importorskip("distributed")
pytestmark = [pytest.mark.parity, pytest.mark.skipif(not trees(), reason="no kernel headers here")]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    found = Dask(tmp_path)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write_two_modules(tmp_path.resolve() / "p")


def test_the_results_are_those_of_this_machine_also_when_a_worker_is_killed(place: Path, dask: Dask) -> None:
    status, local = matrix(place, "local")
    assert status == 0 and matrix(place, "dask", "--executor", f"dask://{dask.address}") == (0, local)
    ours, theirs = (collect(place / out / "cells") for out in ("dask", "local"))
    assert {name: data for name, data in ours.items() if name.endswith(".ko")} == {
        name: data for name, data in theirs.items() if name.endswith(".ko")
    }
    # One worker is killed as soon as cells are begun.
    words = ["matrix", "m", *KERNELS, "-o", "again", "--executor", f"dask://{dask.address}", "--format", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kbuildpy", *words], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    wait_for_a_cell(place / "again")
    dask.workers[0].send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0 and sorted(said.decode().splitlines()) == local


def test_a_matrix_whose_scheduler_is_lost_goes_on_here(place: Path, dask: Dask) -> None:
    words = ["matrix", "m", *KERNELS, "--executor", f"dask://{dask.address}", "--format", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kbuildpy", *words], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_a_cell(place / "matrix")
    dask.end()
    _, said = process.communicate(timeout=180)
    assert process.returncode == 1 and b"was lost" in said and b"Traceback" not in said
    status, results = matrix(place, "matrix")
    assert status == 0 and results == matrix(place, "local")[1]


def test_a_scheduler_that_is_not_there_is_one_clear_error(place: Path) -> None:
    env = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    done = kbuildpy("matrix", "m", *KERNELS, "--executor", "dask://127.0.0.1:1", cwd=place, env=env)
    assert done.returncode == 1 and "no Dask scheduler answers at tcp://127.0.0.1:1" in done.error_text
    assert "Traceback" not in done.error_text


@pytest.mark.parametrize("word", ["dask://", "slurm://", "slurm://0", "slurm://many", "dask", "ssh://host", ""])
def test_a_word_that_is_no_executor_is_refused(word: str, place: Path) -> None:
    done = kbuildpy("matrix", "m", *KERNELS, "--executor", word, cwd=place)
    assert done.returncode == 2 and f"--executor {word}: unknown" in done.error_text


def test_other_sources_on_a_worker_are_told(place: Path) -> None:
    assert matrix(place, "out")[0] == 0
    results = (place / "out/results.jsonl").read_text().splitlines()
    key = json.loads(results[0])["cell"]
    cell = {"key": key, "kernel": trees()[0].release, "release": "6", "inputs": [str(place / "m")], "steps": ["check"]}
    (place / "x.cell").write_text(json.dumps({**cell, "contents": "of another checkout"}))
    done = kbuildpy("matrix", "--cell", place / "x.cell", "--place", place / "x")
    assert done.returncode == 1 and "other contents on" in done.error_text and not (place / "x").exists()

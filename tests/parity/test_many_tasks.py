# SPDX-License-Identifier: GPL-2.0-only
"""Two hundred cells on each executor: the same results, also when a worker and the scheduler are lost, and what a cell
costs there beside the same command called by hand.

Dask's two workers are in network namespaces of their own, and reach the scheduler through a network only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.dask_cluster import Dask
from tests.support.kernel_trees import trees, usual_tree
from tests.support.matrix_runs import wait_for_a_cell
from tests.support.samples import SAMPLES
from tests.support.slurm import MISSING, Slurm

pytestmark = [pytest.mark.parity, pytest.mark.sweep, pytest.mark.skipif(not trees(), reason="no kernel headers here")]

TASKS = 200
NETWORK = "10.213"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module, `hello.ko`, and kernel trees that only differ in what tells trees apart."""
    found = tmp_path_factory.mktemp("tasks")
    tree = usual_tree()
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", found / "out")
    assert done.returncode == 0, done.error_text
    shutil.copy(next((found / "out").rglob("hello.ko")), found)
    for number in range(TASKS):
        _like(tree, found / f"trees/{number:03d}", number)
    return found


def _like(tree: KernelTree, place: Path, number: int) -> None:
    """A tree of links to `tree`, whose compile.h is another one."""
    (place / "include/generated").mkdir(parents=True)
    for folder in (Path(), Path("include"), Path("include/generated")):
        for path in (tree.objects / folder).iterdir():
            if not (place / folder / path.name).exists():
                (place / folder / path.name).symlink_to(path)
    compile_h = place / "include/generated/compile.h"
    text = compile_h.read_text()
    compile_h.unlink()
    compile_h.write_text(f"{text}/* {number} */\n")


def words(place: Path, out: str, *more: str) -> list[str]:
    """The words of a matrix of all cells."""
    kernels = [word for path in sorted((place / "trees").iterdir()) for word in ("-k", str(path))]
    return ["matrix", "hello.ko", *kernels, "--do", "check", "-o", out, "--format", "json", *more]


def matrix(place: Path, out: str, *more: str, env: dict[str, str] | None = None) -> tuple[list[str], float]:
    """The results of a matrix of all cells, and the seconds that it took."""
    began = time.monotonic()
    done = kbuildpy(*words(place, out, *more), cwd=place, env=env)
    assert done.returncode == 0 and "Traceback" not in done.error_text, done.error_text[-3000:]
    assert len(done.text.splitlines()) == TASKS
    return sorted(done.text.splitlines()), time.monotonic() - began


@pytest.fixture(scope="module")
def by_hand(place: Path) -> float:
    """How many seconds the commands of all cells take, two at a time, when the facts of the trees are known."""

    def check(path: Path) -> int:
        return kbuildpy("check", place / "hello.ko", "-k", path).returncode

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            began = time.monotonic()
            assert set(pool.map(check, (place / "trees").iterdir())) == {0}
    return time.monotonic() - began


@pytest.fixture(scope="module")
def local(place: Path, by_hand: float) -> tuple[list[str], float]:
    return matrix(place, "local", "-j2")


def _tell(name: str, seconds: float, by_hand: float) -> None:
    print(f"{name}: {seconds:.1f} s, by hand {by_hand:.1f} s: {(seconds - by_hand) / TASKS * 1000:.0f} ms more a cell")


def test_processes_on_this_machine(local: tuple[list[str], float], by_hand: float, place: Path) -> None:
    _tell("local", local[1], by_hand)
    again, seconds = matrix(place, "local", "-j2")
    assert again == local[0]
    print(f"all kept: {seconds:.1f} s")


@pytest.fixture
def namespaces() -> Iterator[tuple[list[str], list[str]]]:
    """Two network namespaces, each with a network to this one: the words that lead into them."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and ip")
    names = [f"kbuildpy{number}" for number in range(2)]
    try:
        for number, name in enumerate(names):
            here, there = f"{NETWORK}.{number}.1/24", f"{NETWORK}.{number}.2/24"
            for line in (
                f"netns add {name}",
                f"link add {name} type veth peer name inner netns {name}",
                f"addr add {here} dev {name}",
                f"link set {name} up",
                f"-n {name} addr add {there} dev inner",
                f"-n {name} link set inner up",
                f"-n {name} link set lo up",
                f"-n {name} route add default via {NETWORK}.{number}.1",
            ):
                done = run(["ip", *line.split()], check=False)
                if done.returncode:
                    pytest.skip(f"ip {line}: {done.error_text.strip()}")
        enter = [["ip", "netns", "exec", name] for name in names]
        yield enter[0], enter[1]
    finally:
        for name in names:
            run(["ip", "link", "del", name], check=False)
            run(["ip", "netns", "del", name], check=False)


def test_dask_with_workers_in_other_networks(
    place: Path,
    local: tuple[list[str], float],
    by_hand: float,
    namespaces: tuple[list[str], list[str]],
    tmp_path: Path,
) -> None:
    pytest.importorskip("distributed")

    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    dask = Dask(folders[0], host=f"{NETWORK}.0.1", within=namespaces)
    try:
        results, seconds = matrix(place, "dask", "--executor", f"dask://{dask.address}")
        assert results == local[0]
        _tell("Dask", seconds, by_hand)
        # A worker is lost in the middle, and then the scheduler.
        argv = [sys.executable, "-m", "kbuildpy", *words(place, "lost", "--executor", f"dask://{dask.address}")]
        process = subprocess.Popen(argv, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for_a_cell(place / "lost")
        dask.workers[0].send_signal(signal.SIGKILL)
        _wait_for_results(place / "lost/results.jsonl", 50)
        dask.scheduler.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 1 and b"was lost" in said and b"Traceback" not in said
    finally:
        dask.end()
    done = len((place / "lost/results.jsonl").read_text().splitlines())
    assert 50 <= done < TASKS
    dask = Dask(folders[1], host=f"{NETWORK}.0.1", within=namespaces)
    try:
        results, seconds = matrix(place, "lost", "--executor", f"dask://{dask.address}")
    finally:
        dask.end()
    assert results == local[0]
    print(f"Dask, anew after {done} of {TASKS}: {seconds:.1f} s")


@pytest.mark.skipif(bool(MISSING) or os.geteuid() != 0, reason="Slurm is not installed, or this is not root")
@pytest.mark.parametrize("word", ["slurm", "slurm://20"])
def test_slurm(word: str, place: Path, local: tuple[list[str], float], by_hand: float, tmp_path: Path) -> None:
    slurm = Slurm(tmp_path)
    out = word.replace("://", "-")
    try:
        results, seconds = matrix(place, out, "--executor", word, env=slurm.environ)
        assert results == local[0]
        _tell(word, seconds, by_hand)
    finally:
        slurm.end()


@pytest.mark.skipif(bool(MISSING) or os.geteuid() != 0, reason="Slurm is not installed, or this is not root")
def test_slurm_whose_controller_is_lost_for_a_while(
    place: Path, local: tuple[list[str], float], tmp_path: Path
) -> None:
    slurm = Slurm(tmp_path)
    try:
        argv = [sys.executable, "-m", "kbuildpy", *words(place, "restarted", "--executor", "slurm://20")]
        process = subprocess.Popen(
            argv, cwd=place, env=slurm.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            _wait_for_results(place / "restarted/results.jsonl", 50)
            slurm.restart_controller()
            began = time.monotonic()
            results, said = slurm.output_of(process, timeout=900)
        finally:
            process.kill()
        print(f"the controller was killed after 50 cells: {time.monotonic() - began:.1f} s more")
    finally:
        slurm.end()
    assert (process.returncode, sorted(results.splitlines())) == (0, local[0]), said[-3000:]


def _wait_for_results(file: Path, number: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and (not file.exists() or len(file.read_text().splitlines()) < number):
        time.sleep(0.05)
    assert len(file.read_text().splitlines()) >= number

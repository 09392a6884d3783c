# SPDX-License-Identifier: GPL-2.0-only
"""Packaging that is cut short, by a kill or a full disk: the package is there whole or not at all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree
from tests.support.module_packages import DATE, MAINTAINER, ROOTS, package, require_tools
from tests.support.samples import built_samples

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return usual_tree()


@pytest.fixture(scope="module")
def modules(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [path for path in built_samples(tree, tmp_path_factory) if path.name != "exporter_user.ko"]


def words_of(format: str, modules: list[Path], tree: KernelTree, out: Path) -> list[str]:
    words = ["package", format, *map(str, modules), "--name", "all", "--version", "1", "-k", str(tree.objects)]
    return [*words, "-o", str(out), "-q", *(("--maintainer", MAINTAINER) if format == "deb" else ())]


def visible(out: Path) -> dict[str, bytes]:
    """The files that a user or an uploading script sees."""
    return {path.name: path.read_bytes() for path in out.glob("[!.]*")} if out.is_dir() else {}


@pytest.mark.parametrize("format", list(ROOTS))
def test_a_kill_at_any_moment_leaves_no_half_of_a_package(
    format: str, tree: KernelTree, modules: list[Path], tmp_path: Path
) -> None:
    require_tools(format)
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(DATE)}
    argv = [sys.executable, "-m", "kbuildpy", *words_of(format, modules, tree, tmp_path / "whole")]
    began = time.monotonic()
    run(argv, env=env)
    whole = time.monotonic() - began
    complete = visible(tmp_path / "whole")
    assert len(complete) == 1
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    moments = random.Random(seed)
    out = tmp_path / "out"
    stopped = 0
    for _ in range(10):
        argv = [sys.executable, "-m", "kbuildpy", *words_of(format, modules, tree, out)]
        process = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.3, 0.98) * whole)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert visible(out) in ({}, complete)
        stopped += visible(out) == {}
        for path in out.glob("[!.]*"):
            path.unlink()
    assert stopped
    time.sleep(1)  # (a tool that was left alone ends)
    run(argv, env=env)
    assert visible(out) == complete
    assert sorted(path.name for path in out.iterdir()) == sorted(complete)


@pytest.mark.parametrize("format", list(ROOTS))
def test_a_full_disk_is_one_error_and_leaves_nothing(
    format: str, tree: KernelTree, modules: list[Path], small_disk: Path
) -> None:
    require_tools(format)
    failures = 0
    for size in (8, 60, 300, 900, 1500, 2500, 20_000):
        run(["mount", "-o", f"remount,size={size}k", small_disk])
        out = small_disk / "out"
        done = kbuildpy(*words_of(format, modules, tree, out), env={"SOURCE_DATE_EPOCH": str(DATE)})
        if size == 20_000:
            assert done.returncode == 0, done.error_text
            assert len(list(out.iterdir())) == 1
            break
        if done.returncode:
            failures += 1
            assert done.returncode == 1
            assert "Traceback" not in done.error_text
            assert done.error_text.count("error: ") == 1
            assert "disk is full" in done.error_text, done.error_text
            assert list(small_disk.iterdir()) == [] or list(out.iterdir()) == []
        else:
            for path in out.iterdir():
                path.unlink()
    assert failures >= 2


def test_a_directory_that_cannot_be_written_to_is_one_error(
    tree: KernelTree, modules: list[Path], small_disk: Path
) -> None:
    run(["mount", "-o", "remount,ro", small_disk])
    for format in ("deb", "tar"):
        done = package(format, *modules, "--name", "all", "--version", "1", "-o", small_disk, tree=tree, cwd=small_disk)
        assert (done.returncode, "Read-only file system" in done.error_text) == (1, True), done.error_text
        assert "-o DIR" in done.error_text
    run(["mount", "-o", "remount,rw", small_disk])

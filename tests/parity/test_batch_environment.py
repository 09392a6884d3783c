# SPDX-License-Identifier: GPL-2.0-only
"""Jobs of a batch system or a CI service share what is remembered of kernel trees and directories."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.kbuild_sources import module
from tests.support.kernel_trees import usual_tree

pytestmark = pytest.mark.parity

KBUILD = "obj-m := a.o\n"


class Jobs:
    """A module directory that is built in jobs, each with other variables, and a `make` that logs its calls."""

    def __init__(self, place: Path, scratch: Path) -> None:
        self.place = place
        self.log = scratch / "log"
        self.tree = usual_tree()
        (scratch / "bin").mkdir(parents=True)
        program = scratch / "bin/make"
        program.write_text(f'#!/bin/sh\necho "$*" >>{self.log}\nexec {shutil.which("make")} "$@"\n')
        program.chmod(0o755)
        self.environ = {
            **os.environ,
            "PATH": f"{scratch}/bin:{os.environ['PATH']}",
            "KBUILDPY_CACHE": str(scratch / "cache"),
        }
        self.write("Kbuild", KBUILD)
        self.write("a.c", module())

    def write(self, name: str, text: str) -> None:
        """Write a source. (What was written just now may change unseen: it is not remembered.)"""
        self.place.mkdir(exist_ok=True)
        (self.place / name).write_text(text)
        time.sleep(0.05)

    def build(self, job: str, *words: str) -> int:
        """Build in a job; how often make was called."""
        self.log.write_text("")
        names = ("SLURM_JOB_ID", "GITHUB_RUN_ID", "CI_JOB_ID", "BUILD_NUMBER")
        env = {**self.environ, **dict.fromkeys(names, job)}
        done = kbuildpy("build", self.place, "-k", str(self.tree.objects), *words, env=env)
        assert done.returncode == 0, done.error_text
        return len(self.log.read_text().splitlines())

    def module(self) -> bytes:
        """The module that was built."""
        return (self.place / "build" / self.tree.release / "a.ko").read_bytes()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path.resolve() / "m", tmp_path.resolve() / "scratch")


def test_the_next_job_asks_make_nothing(jobs: Jobs) -> None:
    assert jobs.build("1") > 1
    assert jobs.build("2") == 0
    assert jobs.build("3") == 0
    # Nor does one with another checkout ask about the kernel tree again.
    shutil.rmtree(jobs.place / "build")
    assert jobs.build("4") == 1


@pytest.mark.parametrize("way", ["Kbuild file", "variable"])
def test_a_job_that_is_mentioned_is_in_the_module(way: str, jobs: Jobs) -> None:
    define = "-DJOB='\"job $(GITHUB_RUN_ID)\"'"
    jobs.write("a.c", module() + '#ifdef JOB\nSAY(job, "job=" JOB);\n#endif\n')
    words = [f"KCFLAGS={define}"] if way == "variable" else []
    if not words:
        jobs.write("Kbuild", f"{KBUILD}ccflags-y := {define}\n")
    for job in ("7", "7", "7", "8", "7"):
        jobs.build(job, *words)
        assert f"job=job {job}\0".encode() in jobs.module()

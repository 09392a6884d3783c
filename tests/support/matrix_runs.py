# SPDX-License-Identifier: GPL-2.0-only
"""Runs of `kbuildpy matrix` over two small modules and all installed kernels, for tests of its executors."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.builds import kbuildpy
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees

KERNELS = [word for tree in trees() for word in ("-k", tree.release)]


def write_two_modules(place: Path) -> Path:
    """Write the directory `m` with two modules into `place`, which is returned."""
    write_sources({"m/Kbuild": "obj-m := a.o b.o\n", "m/a.c": module(), "m/b.c": module("int x;")}, place)
    return place


def matrix(place: Path, out: str, *words: str, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """The status and the results of a matrix of the modules for all kernels."""
    done = kbuildpy("matrix", "m", *KERNELS, "-o", out, "--format", "json", *words, cwd=place, env=env)
    assert "Traceback" not in done.error_text, done.error_text
    return done.returncode, sorted(done.text.splitlines())


def wait_for_a_cell(out: Path) -> None:
    """Wait until a cell is being worked on."""
    end = time.monotonic() + 90
    while time.monotonic() < end and not any(out.glob("cells/*.*/log")):
        time.sleep(0.02)
    assert any(out.glob("cells/*.*/log"))

# SPDX-License-Identifier: GPL-2.0-only
"""Checking a whole distribution's modules, and one small module, in seconds: there is nobody else who does it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.module_files import walk_modules
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.load_module import load_module
from tests.bench_rows import BenchReport
from tests.support.packages import unpacked_kernel

IMPORTS = "import kbuildpy.loader.load_module, kbuildpy.loader.kernels.from_tree"
RUNS = 15


def check_rows(report: BenchReport, tree: KernelTree) -> None:
    """Add the rows to the report, with the seconds that each should not exceed."""
    root = unpacked_kernel(tree.release)
    directory = modules_directory(tree.release, root=root)
    assert directory is not None
    files = [Path(file) for file in walk_modules(directory / "kernel")]
    smallest = min(files, key=lambda file: file.stat().st_size)
    kernel = kernel_from_tree(tree, partial(ask_module_facts, environ=os.environ), root=root)
    contents = smallest.read_bytes()
    load_module(contents, kernel)
    inside = statistics.median(_seconds(lambda: load_module(contents, kernel)) for _ in range(101))
    check = [sys.executable, "-m", "kbuildpy", "check", "-k", str(tree.release)]
    # (what earlier runs have kept of these modules would be found)
    shutil.rmtree(cache_directory() / "check", ignore_errors=True)
    whole, again = (_process([*check, "-q", str(directory)]) for _ in range(2))
    one = statistics.median(_process([*check, str(smallest)]) for _ in range(RUNS))
    bare = statistics.median(_process([sys.executable, "-c", "pass"]) for _ in range(RUNS))
    imports = statistics.median(_process([sys.executable, "-c", IMPORTS]) for _ in range(RUNS)) - bare
    for name, seconds, limit in (
        (f"check {len(files)} modules", whole, 40.0),
        ("the same again", again, 6.0),
        ("check one small module: the process", one, 0.5),
        ("check one small module: inside", inside, 0.03),
        ("importing what each build needs", imports, 0.1),
    ):
        report.seconds(name, seconds, limit)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _process(argv: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return _seconds(lambda: subprocess.run(argv, check=True, capture_output=True, env=environment))

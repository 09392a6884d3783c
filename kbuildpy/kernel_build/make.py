# SPDX-License-Identifier: GPL-2.0-only
"""Calls the make of a kernel's sources, outside of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.errors import CommandError
from kbuildpy.kernel_build.recipe import KernelRecipe
from kbuildpy.run import run
from kbuildpy.run_live import run_live

_PASSED = (
    *("PATH", "HOME", "TMPDIR", "C_INCLUDE_PATH", "LIBRARY_PATH"),
    *("LIBCLANG_PATH", "RUSTC", "BINDGEN", "RUST_LIB_SRC"),
)
"""The variables of the environment by which programs, headers and libraries are found."""
_MEMORY = 700 << 20
"""Bytes that a compiler takes at most, about."""


def make(recipe: KernelRecipe, place: Path, *words: str) -> str:
    """Call make for `recipe` in the directory `place`, and return what it prints. Raises `CommandError`."""
    argv = ["make", "-s", *_where(recipe, place), *words]
    return run(argv, env=_environment(), begin=partial(end_with, os.getpid(), signal.SIGTERM)).text


def make_loudly(recipe: KernelRecipe, place: Path, log: Path, *words: str, advance: Callable[[int], object]) -> None:
    """The same for a long build, with a job for each processor: what it prints goes to the file `log`, and `advance` is
    told how many more files were made. Raises `CommandError`, of which `stderr` has the errors."""
    assignments = [f"{name}={value}" for name, value in _environment().items()]
    # (nothing of this process' environment changes what is built)
    argv = ["env", "-i", *assignments, "make", f"-j{_jobs()}", *_where(recipe, place), *words]
    with log.open("ab", buffering=0) as output:

        def watch(chunk: bytes) -> None:
            output.write(chunk)
            advance(chunk.count(b"\n"))

        try:
            run_live(argv, watch=watch, ending=signal.SIGTERM)
        except CommandError as error:
            output.write(error.stderr.encode(errors="replace"))
            raise


def _where(recipe: KernelRecipe, place: Path) -> list[str]:
    # An empty LOCALVERSION: sources in a git repository get no "+" (scripts/setlocalversion).
    return ["-C", str(recipe.source.path), f"O={place}", *recipe.toolchain.words, "LOCALVERSION=", "KCFLAGS=-w"]


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C", **{name: os.environ[name] for name in _PASSED if name in os.environ}}


def _jobs() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // _MEMORY))

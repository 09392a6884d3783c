# SPDX-License-Identifier: GPL-2.0-only
"""Public modules, as their authors publish them: what make makes of them, kbuildpy makes, byte for byte.

They are cloned once, at the commit that `public.tsv` names, into the cache; where `KBUILDPY_PUBLIC` names a folder that
has them already, one clone each, those are taken as they are. A clone that cannot be had is a test that is skipped.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.execute import Completed
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, Build, assert_equal, collect, complaints, errors, kbuildpy, listing, make
from tests.support.kernel_trees import trees
from tests.support.packages import newer_kernel, one_at_a_time, other_compiler

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

ROWS = [
    line.split("\t")
    for line in (Path(__file__).parent / "public.tsv").read_text().splitlines()
    if not line.startswith("#")
]
LINES: dict[str, Callable[[], KernelTree]] = {
    **{tree.release: (lambda tree=tree: tree) for tree in trees()},  # type: ignore[misc]
    "7.3": lambda: newer_kernel()[0],
}


@one_at_a_time
def cloned(repository: str, commit: str) -> Path:
    """A clone of `repository` (`owner/name`); skips the test where there is none to be had."""
    name = repository.split("/")[1]
    if folder := os.environ.get("KBUILDPY_PUBLIC"):
        if not (Path(folder) / name).is_dir():
            pytest.skip(f"{folder} has no {name}")
        return Path(folder) / name
    place = cache_directory() / "public" / f"{name}-{commit[:12]}"
    if not place.is_dir():
        scratch = place.with_name(f"{place.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            run(["git", "init", "-q", scratch])
            fetch: list[str | Path] = [
                "git",
                "-C",
                scratch,
                "fetch",
                "-q",
                "--depth",
                "1",
                f"https://github.com/{repository}",
                commit,
            ]
            run(fetch, timeout=600, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
            run(["git", "-C", scratch, "checkout", "-q", "FETCH_HEAD"])
        except KbuildError as error:
            shutil.rmtree(scratch)
            pytest.skip(f"{repository} cannot be cloned: {error}")
        scratch.rename(place)
    return place


def _timed(tool: Callable[[], Completed]) -> tuple[float, Completed]:
    """What `tool` printed, and how many seconds it took."""
    begin = time.monotonic()
    done = tool()
    return time.monotonic() - begin, done


def _cases() -> list[Any]:
    """Every module on every line."""
    return [pytest.param(row, line, id=f"{row[0].split('/')[1]}-{line}") for row in ROWS for line in LINES]


@pytest.mark.parametrize(("row", "line"), _cases())
def test_a_public_module_is_the_same_bytes_as_makes(row: list[str], line: str, tmp_path: Path) -> None:
    repository, commit, below, variables, first, _ = row
    tree, clone, place = LINES[line](), cloned(repository, commit), tmp_path / repository.split("/")[1]
    names = {"@KDIR": str(tree.objects), "@SOURCE": str(tree.source), "@": str(place)}
    words = [*other_compiler(tree), REPRODUCIBLE]
    for word in shlex.split(variables):
        name, _, value = word.partition("=")
        words.append(f"{name}={names.get(value, value)}")

    def lay_out() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(clone, place, symlinks=True)
        for command in filter(None, first.split(";")):
            run(shlex.split(command), cwd=place / below)

    lay_out()
    clean, done = _timed(lambda: make(tree, place / below, words))
    oracle = Build(done.returncode, done.text + done.error_text, collect(place / below))
    again, done = _timed(lambda: make(tree, place / below, ["-k", *words] if oracle.status != 0 else words))
    refusals = errors(done.text + done.error_text)

    lay_out()
    before = listing(place / below)
    call: tuple[str | Path, ...] = (
        "build",
        place / below,
        "--no-dkms",
        "-k",
        str(tree.objects),
        f"-j{os.cpu_count()}",
        *words,
    )
    our_clean, done = _timed(lambda: kbuildpy(*call))
    out = place / below / "build" / tree.release
    ours = Build(done.returncode, done.text + done.error_text, collect(out))
    # (elsewhere in the clone it may: lttng's Kbuild file writes ../include/generated/patches.h, and git its index)
    assert listing(place / below) == before, "the build wrote among the sources"
    if oracle.status != 0:
        # (which of several objects fails first is chance: kbuildpy stops at one, as make does)
        assert ours.status == 1
        # (one of an own rule's comes below a line of ours that says so)
        told = {line for line in errors(ours.output) if not line.startswith("kbuildpy: error: ")}
        assert told and told <= refusals
        pytest.skip(f"make does not build it, nor does kbuildpy: {complaints(oracle)[:1]}")
    assert_equal(oracle, ours)
    assert complaints(ours) == complaints(oracle)

    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and _made(path)}
    our_again, done = _timed(lambda: kbuildpy(*call))
    assert done.returncode == 0
    assert [line for line in done.text.splitlines() if line.startswith("  ")] == []
    assert {path: path.stat().st_mtime_ns for path in files} == files
    print(
        f"{place.name} {tree.release}: {len(ours.names('.ko'))} modules;"
        f" make {clean:.1f} s, again {again:.1f} s; kbuildpy {our_clean:.1f} s, again {our_again:.1f} s"
    )


def _made(path: Path) -> bool:
    """Whether it is something that make makes as well."""
    return path.suffix in (".ko", ".o", ".mod") or path.name in ("Module.symvers", "modules.order")

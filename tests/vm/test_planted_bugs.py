# SPDX-License-Identifier: GPL-2.0-only
"""Modules with one planted bug each, run by `run --with`: each is named with file and line, and the mended module is
not complained of.

The line is the one with PLANT in the source. The kernel is the referee: its sanitizers find the bugs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import kbuildpy
from tests.support.guest_kernels import boots_x86_64
from tests.support.kernel_trees import tree_of
from tests.support.scons_project import HEAD, SConsProject
from tests.support.small_kernels import small_kernel

pytestmark = [pytest.mark.vm, pytest.mark.sweep, boots_x86_64]

BUGS = Path(__file__).parents[1] / "support/planted_bugs"
MOST = ("kasan", "lockdep", "kmemleak", "ubsan", "debug-objects", "debug-lists")


@dataclass(frozen=True)
class Boot:
    """Modules that are loaded in one boot, and the sets of options that find their bugs."""

    sets: tuple[str, ...]
    names: tuple[str, ...]
    more: tuple[str, ...] = ()
    line: str = "6.1"


# lockdep looks no further after its first report.
BOOTS = [
    Boot(
        MOST,
        (
            "use_after_free",
            "out_of_bounds",
            "double_free",
            "invalid_free",
            "stack_out_of_bounds",
            "global_out_of_bounds",
            "vmalloc_out_of_bounds",
            "use_after_free_in_work",
            "sleep_in_atomic",
            "leak",
            "leak_in_list",
            "array_index",
            "shift",
            "bool_value",
            "free_active_timer",
            "list_damage",
        ),
    ),
    *(
        Boot(MOST, (name,))
        for name in ("lock_order", "recursive_lock", "lock_in_interrupt", "unlock_not_held", "rcu_outside")
    ),
    # (6.1.192 with KCSAN ends before its first process: an entry of its table of initcalls is overwritten)
    Boot(("kcsan",), ("data_race",), line="6.12"),
    Boot(("kmsan",), ("uninitialised",), ("--llvm=-16",)),
]


def project(place: Path, names: Sequence[str], *, mended: bool) -> Path:
    """A directory with the sources of modules and a Kbuild file."""
    place.mkdir()
    for name in names:
        shutil.copyfile(BUGS / f"{name}.c", place / f"{name}.c")
    lines = [f"obj-m += {name}.o\n" for name in names]
    if mended:
        lines.append("ccflags-y += -DMENDED\n")
    (place / "Kbuild").write_text("".join(lines))
    return place


def planted_line(name: str) -> int:
    """The line of the bug."""
    lines = (BUGS / f"{name}.c").read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if "PLANT" in line]
    return number


def results_of(boot: Boot, directory: Path) -> dict[str, dict[str, Any]]:
    """What `run --with` says of each module in `directory`."""
    small_kernel(boot.line, *boot.sets, more=boot.more)
    options = ["--with", ",".join(boot.sets), *boot.more, "-k", tree_of(boot.line).release, "--format", "json"]
    done = kbuildpy("run", directory, *options, "--wait", "1")
    print(done.error_text[-4000:])
    found = [json.loads(text) for text in done.text.splitlines()]
    assert {item["name"] for item in found} == {*boot.names}, done.error_text
    return {item["name"]: item for item in found}


@pytest.mark.parametrize("boot", BOOTS, ids=lambda boot: "-".join(boot.names[:1]))
def test_a_planted_bug_is_named_with_its_line_and_the_mended_module_is_not(boot: Boot, tmp_path: Path) -> None:
    results = results_of(boot, project(tmp_path / "planted", boot.names, mended=False))
    missed = {}
    for name, result in results.items():
        complaints = result["complaints"]
        places = [(place["file"], place["line"]) for complaint in complaints for place in complaint["where"]]
        if not any(Path(file).name == f"{name}.c" and number == planted_line(name) for file, number in places):
            missed[name] = (planted_line(name), places, [complaint["words"] for complaint in complaints])
    assert not missed
    for name, result in results_of(boot, project(tmp_path / "mended", boot.names, mended=True)).items():
        assert result["complaints"] == [], (name, result["complaints"])
        assert result["passed"], result


def test_scons_runs_modules_in_a_kernel_with_sets_of_options(tmp_path: Path) -> None:
    small_kernel("6.1", "kasan")
    sconstruct = f"{HEAD}env.RunModule(env.KernelModule('use_after_free'), kernels=['--with kasan'])\n"
    source = (BUGS / "use_after_free.c").read_text()
    files = {"SConstruct": sconstruct, "use_after_free.c": source}
    scons = SConsProject(tmp_path / "project", tree_of("6.1").objects, files)
    assert "use_after_free.ko was not built yet" in scons.scons("run", status=2).output
    scons.build()
    failed = scons.scons("run", status=2).output
    assert f"use_after_free.c:{planted_line('use_after_free')}" in failed and "KASAN" in failed
    (scons.place / "use_after_free.c").write_text(f"#define MENDED\n{source}")
    scons.build()
    assert "RUN     use_after_free.ko" in scons.scons("run").did
    [report] = scons.place.rglob("*.run.log")
    assert report.parent.name.startswith("6.1.") and report.parent.name.endswith("-kasan")
    assert "`run' is up to date" in scons.scons("run").output

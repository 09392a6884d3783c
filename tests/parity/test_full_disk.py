# SPDX-License-Identifier: GPL-2.0-only
"""A disk that fills up at any moment of a build: one error, nothing half-written, and a good build once it has room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree

pytestmark = pytest.mark.parity

SAMPLE = Path(__file__).parents[2] / "sample_modules/composite"
# In KiB: while SCons' notes, the first object, its record, a .mod.o and the module are written; the last is enough.
SIZES = (50, 110, 170, 260, 350, 440, 20_000)


def test_a_full_disk_costs_the_build_and_nothing_else(small_disk: Path) -> None:
    tree, place = usual_tree(), small_disk / "module"
    out = place / "build" / tree.release
    failures, results, left = [], [], []
    for size in [*SIZES, 0]:
        size = size or used_before(out / "composite.mod.c", small_disk)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(SAMPLE, place, ignore=shutil.ignore_patterns("build"))
        run(["mount", "-o", f"remount,size={size}k", small_disk])
        done = kbuildpy("build", place, "-k", str(tree.objects))
        said = done.text + done.error_text
        assert "Traceback" not in said
        if done.returncode:
            assert done.returncode == 1
            assert "No space left on device" in said
            failures.append(said)
            left.append(contents_of(out))
        run(["mount", "-o", f"remount,size={SIZES[-1]}k", small_disk])
        again = kbuildpy("build", place, "-k", str(tree.objects))
        assert again.returncode == 0, again.error_text
        results.append(contents_of(out))
    assert len(failures) == len(SIZES)
    assert any("the disk is full: free some space and build again" in said for said in failures)
    assert "composite.mod.c: No space left on device" in failures[-1]
    assert all(result == results[-1] for result in results)
    for files in left:
        assert [name for name in files if files[name] != results[-1].get(name)] == []


def used_before(target: Path, disk: Path) -> int:
    """How many KiB the disk held when a build came to `target`; what was written since is removed."""
    since = target.stat().st_ctime_ns
    for path in [path for path in disk.rglob("*") if path.is_file() and path.stat().st_ctime_ns >= since]:
        path.unlink()
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize >> 10


def contents_of(out: Path) -> dict[str, bytes]:
    """What a user finds in a build directory."""
    return {path.name: path.read_bytes() for path in out.glob("[!.]*")}

"""A disk that fills up at any moment of a build: one error, nothing half-written, and a good build once it has room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.parity.both import kbuildpy
from tests.parity.scons_project import usual_tree

pytestmark = pytest.mark.parity

SAMPLE = Path(__file__).parents[2] / "sample_modules/composite"
# In KiB: while SCons' notes, the first object, its record, a .mod.o and the module are written; the last is enough.
SIZES = (50, 110, 170, 260, 350, 440, 20_000)


def test_a_full_disk_costs_the_build_and_nothing_else(small_disk: Path) -> None:
    tree, place = usual_tree(), small_disk / "module"
    failures, results = [], []
    for size in SIZES:
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
        run(["mount", "-o", f"remount,size={SIZES[-1]}k", small_disk])
        again = kbuildpy("build", place, "-k", str(tree.objects))
        assert again.returncode == 0, again.error_text
        results.append({path.name: path.read_bytes() for path in (place / "build" / tree.release).glob("[!.]*")})
    assert len(failures) == len(SIZES) - 1
    assert any("the disk is full: free some space and build again" in said for said in failures)
    assert all(result == results[-1] for result in results)

# SPDX-License-Identifier: GPL-2.0-only
"""Two builds at once in one output: one waits, says for whom, and finds everything made."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import usual_tree
from tests.support.scons_project import CHECKOUT, HEAD, SConsProject

pytestmark = pytest.mark.parity


def slow_sources(place: Path) -> dict[str, str]:
    """A module whose own rule waits until the file `go` is there."""
    wait = f"for i in $$(seq 600); do [ ! -e {place}/go ] || break; sleep 0.05; done; test -e {place}/go"
    rule = f"\ttouch {place}/begun; {wait}; echo 'int made;' >$@"
    return {
        "drv/Kbuild": f"obj-m := slow.o\nslow-y := main.o made.o\n$(obj)/made.c:\n{rule}\n",
        "drv/main.c": module(),
        "SConstruct": f"{HEAD}env.Kbuild('drv')\n",
    }


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.02)


def let_both_build(place: Path, first: subprocess.Popen[str], words: list[str]) -> tuple[str, str]:
    """What `first` and the same build, started by `words` while the first is at work, print; both succeed."""
    wait_for(place / "begun")
    second = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert second.stdout
    said = ""
    while "waiting" not in said:
        line = second.stdout.readline()
        assert line, f"the second build ended: {said}"
        said += line
    (place / "go").touch()
    printed, _ = first.communicate(timeout=120)
    more, _ = second.communicate(timeout=120)
    assert first.returncode == 0, printed
    assert second.returncode == 0, said + more
    assert f"process {first.pid} (" in said
    return printed, said + more


def test_the_second_of_two_builds_waits_and_says_for_whom(tmp_path: Path) -> None:
    tree = usual_tree()
    write_sources(slow_sources(tmp_path), tmp_path)
    words = [sys.executable, "-m", "kbuildpy", "build", str(tmp_path / "drv"), "-k", str(tree.objects)]
    first = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed, said = let_both_build(tmp_path, first, words)
    assert "main.o" in printed
    assert "main.o" not in said, "the second build made again what the first one had made"
    assert (tmp_path / f"drv/build/{tree.release}/slow.ko").exists()


CROSSWISE = """\
import sys, time
from pathlib import Path
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.lock import lock_output
first, second = map(Path, sys.argv[1:])
lock_output(first)
(first / "held").touch()
while not (second / "held").exists():
    time.sleep(0.02)
try:
    lock_output(second)
    print("both")
except KbuildError as error:
    print(error.message)
"""


def test_of_two_builds_that_wait_for_each_other_one_is_told(tmp_path: Path) -> None:
    places = [str(tmp_path / name) for name in ("a", "b")]
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", CROSSWISE, *order],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for order in (places, places[::-1])
    ]
    said = sorted(build.communicate(timeout=60)[0].strip() for build in builds)
    assert said[1] == "both"
    assert said[0].endswith("the build that holds this directory waits for this build")


def test_the_second_of_two_scons_waits_and_says_for_whom(tmp_path: Path) -> None:
    project = SConsProject(tmp_path, usual_tree().objects, slow_sources(tmp_path))
    words = [sys.executable, "-m", "SCons", f"KDIR={project.kdir}"]
    printed, _ = let_both_build(tmp_path, project.start(), words)
    assert "main.o" in printed
    assert "build there" not in printed
    assert (tmp_path / f"build/{usual_tree().release}/drv/slow.ko").exists()
    assert project.scons().did == []

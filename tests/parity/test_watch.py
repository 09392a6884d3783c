# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy watch`: each saved file is built, a broken one is told and waited for, and a command follows the build."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.edits import edit
from tests.support.kernel_trees import usual_tree

pytestmark = pytest.mark.parity

SOURCE = '#include <linux/module.h>\n#include "drv.h"\nint first = FIRST;\nMODULE_LICENSE("GPL");\n'
WAITS = "waiting for a change"


class Watcher:
    """A watch that runs, and its lines."""

    def __init__(self, *words: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kbuildpy", "watch", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def until(self, words: str) -> list[str]:
        """The lines up to the one that contains `words`."""
        found: list[str] = []
        while not found or words not in found[-1]:
            line = self.lines.get(timeout=60)
            assert line is not None, found
            found.append(line)
        return found

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        self.reader.join()
        return status


@pytest.fixture
def drv(tmp_path: Path) -> Path:
    place = tmp_path / "drv"
    place.mkdir()
    (place / "Kbuild").write_text("obj-m := drv.o\n")
    (place / "drv.c").write_text(SOURCE)
    (place / "drv.h").write_text("#define FIRST 1\n")
    return place


@pytest.fixture
def watcher(drv: Path) -> Iterator[Watcher]:
    watching = Watcher(drv, "-k", usual_tree().objects, "--", "check", "--format", "json")
    try:
        yield watching
    finally:
        watching.end(signal.SIGKILL)


def test_each_change_is_built_and_checked(drv: Path, watcher: Watcher) -> None:
    built = watcher.until(WAITS)
    assert "  LD [M]  drv.ko" in built
    assert any('"accepted": true' in line for line in built)
    edit(drv / "drv.h", "1", "2")
    built = watcher.until(WAITS)
    assert built[0].endswith(" drv.h changed")
    assert "  CC [M]  drv.o" in built
    assert any('"accepted": true' in line for line in built)
    # A broken source is told; the one that mends it is built.
    edit(drv / "drv.c", "first =", "first +")
    broken = watcher.until(WAITS)
    assert any("drv.c:3" in line and "error" in line for line in broken)
    assert not any("accepted" in line for line in broken)
    edit(drv / "drv.c", "first +", "first =")
    assert any('"accepted": true' in line for line in watcher.until(WAITS))
    # A source that is new, beside files of an editor.
    (drv / ".drv.c.swp").write_text("")
    (drv / "drv.c~").write_text("")
    (drv / "more.c").write_text('#include <linux/module.h>\nMODULE_LICENSE("GPL");\n')
    assert watcher.until(WAITS)[0].endswith(" more.c changed")
    edit(drv / "Kbuild", "drv.o", "drv.o more.o")
    assert "  LD [M]  more.ko" in watcher.until(WAITS)
    assert kbuildpy("build", drv, "-k", usual_tree().objects).text == f"scons: `{drv}' is up to date.\n"
    # The directory disappears.
    shutil.move(drv, drv.with_name("moved"))
    watcher.until(f"kbuildpy: error: {drv}: the directory is gone")
    assert watcher.process.wait(timeout=20) == 1


def test_a_file_that_the_command_names_is_watched(drv: Path, tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("none")
    watching = Watcher(drv, "-k", usual_tree().objects, "--", "check", "--cert", certificate)
    try:
        watching.until(WAITS)
        edit(certificate, "none", "more")
        assert watching.until(WAITS)[0].endswith("certificate.pem changed")
    finally:
        watching.end(signal.SIGKILL)


def test_a_change_while_the_build_runs_is_built_next(drv: Path) -> None:
    watching = Watcher(drv, "-k", usual_tree().objects)
    try:
        watching.until("CC [M]  drv.o")
        edit(drv / "drv.h", "1", "2")
        assert watching.until(WAITS)[-1]
        assert watching.until(WAITS)[0].endswith(" drv.h changed")
    finally:
        status = watching.end(signal.SIGTERM)
    assert status == 143


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["DIR", "--", "sign"], 2, "sign: not a command for modules that were built"),
        (["DIR", "--"], 2, "--: not a command"),
        (["DIR", "DIR"], 2, "one directory at a time, not 2"),
        (["DIR", "-k", "no_such"], 2, "no_such"),
        (["DIR/none"], 2, "no such directory"),
        (["DIR/empty"], 2, "no Kbuild file"),
        (["DIR", "-j", "0"], 2, "at least one job"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_built(
    drv: Path, words: list[str], status: int, message: str
) -> None:
    (drv / "empty").mkdir()
    done = kbuildpy("watch", *(word.replace("DIR", str(drv)) for word in words))
    assert (done.returncode, done.text) == (status, "")
    assert message in done.error_text
    assert not (drv / "build").exists()


def test_a_watch_that_is_killed_leaves_no_build(drv: Path) -> None:
    watching = Watcher(drv, "-k", usual_tree().objects, "-q")
    os.kill(watching.process.pid, signal.SIGTERM)
    assert watching.process.wait(timeout=20) in (143, -signal.SIGTERM)
    watching.reader.join(timeout=20)
    assert not watching.reader.is_alive(), "a process of the watch still has its output"

# SPDX-License-Identifier: GPL-2.0-only
"""A build that was interrupted, killed, or done by another engine leaves nothing wrong for the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.interrupts import can_be_interrupted
from tests.support.kernel_trees import swept
from tests.support.scons_project import HEAD, PAIR, SConsProject, new_project

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("number", [*swept(signal.SIGINT), signal.SIGKILL], ids=["INT", "KILL"])
@pytest.mark.parametrize("at", ["pair_a.o", *swept("pair.mod.o")])
def test_an_interrupted_build_leaves_nothing_wrong(number: signal.Signals, at: str, pair: SConsProject) -> None:
    pair.edit("drv/pair_b.c", "return 2", "return 3")
    pair.edit("drv/pair.h", "PAIR 1", "PAIR 2")
    process = pair.start("-j2")
    assert process.stdout is not None
    for line in process.stdout:
        if line.rstrip().endswith(at):
            break
    time.sleep(0.1)
    os.killpg(process.pid, number)
    process.communicate(timeout=60)
    # What the killed build was making is no longer wanted, and SCons knows of the build before only.
    pair.edit("drv/pair_b.c", "return 3", "return 2")
    pair.edit("drv/pair.h", "PAIR 2", "PAIR 1")
    pair.build()
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_a_killed_link_is_done_again(pair: SConsProject, tmp_path: Path) -> None:
    before = pair.outputs()
    ko = pair.output("pair.ko")
    ko.unlink()
    slow = tmp_path / "ld"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *"/pair.ko "*) echo half >{ko}; echo "  HALF"; sleep 60;; esac\nexec ld "$@"\n'
    )
    slow.chmod(0o755)
    process = pair.start(f"LD={slow}")
    assert process.stdout is not None
    for line in process.stdout:
        if "HALF" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert ko.read_text() == "half\n"
    pair.build()
    assert pair.outputs() == before


def slow_compiler(place: Path, then: str) -> Path:
    """A compiler that says so when it compiles pair_a.c, waits, and then does what `then` says."""
    path = place / "compiler"
    path.write_text(f'#!/bin/sh\ncase "$*" in *" -c "*pair_a.c) echo SLOW; sleep 3; {then};; esac\nexec gcc "$@"\n')
    path.chmod(0o755)
    return path


def signalled(process: subprocess.Popen[str], send: Callable[[int], None]) -> tuple[int, str]:
    """The status and the rest of the output of a build that gets a signal while that compiler waits."""
    assert process.stdout is not None
    for line in process.stdout:
        if "SLOW" in line:
            break
    send(process.pid)
    rest, _ = process.communicate(timeout=60)
    return process.returncode, rest


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *swept(signal.SIGTERM, signal.SIGHUP)],
    ids=["INT", "TERM", "HUP"],
)
@pytest.mark.parametrize("command", ["scons", "kbuildpy"])
def test_a_signal_is_not_told_as_the_compilers_failure(command: str, number: signal.Signals, tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    options = [f"CC={slow_compiler(tmp_path, ':')}", "-j2"]
    if command == "scons":
        process = project.start("-Q", *options)
    else:
        process = subprocess.Popen(
            [sys.executable, "-m", "kbuildpy", "build", project.place / "drv", "-k", project.kdir, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=can_be_interrupted,
        )
    # A terminal sends SIGINT to all that run in it, kill(1) sends SIGTERM to one.
    send = os.killpg if number == signal.SIGINT else os.kill
    status, said = signalled(process, lambda pid: send(pid, number))
    assert status == (2 if command == "scons" else 128 + number)
    assert "failed" not in said
    if number == signal.SIGINT:
        assert "pair_a.o] Build interrupted." in said
    else:
        assert said.count(f"kbuildpy: ended by {number.name}; the next build makes unfinished files again\n") == 1


def test_a_compiler_that_a_signal_ended_is_told_so(tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    said = project.scons(f"CC={slow_compiler(tmp_path, 'kill -SEGV $$')}", status=2).output
    assert "pair_a.o: the compiler was ended by SIGSEGV" in said


def test_the_command_line_and_an_sconstruct_may_share_a_directory(tmp_path: Path) -> None:
    files = {name.removeprefix("drv/"): text for name, text in PAIR.items()}
    project = new_project(tmp_path, files | {"SConstruct": f"{HEAD}env.Kbuild('.')\n"})
    project.build()
    project.edit("pair_b.c", "return 2", "return 3")
    assert kbuildpy("build", project.place, "-k", project.kdir).returncode == 0
    # SCons still knows the sources as they were, and finds them so again.
    project.edit("pair_b.c", "return 3", "return 2")
    project.build()
    project.assert_like_clean()

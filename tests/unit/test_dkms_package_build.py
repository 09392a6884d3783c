# SPDX-License-Identifier: GPL-2.0-only
"""The commands of a package's build end with the process that runs them, also when that is killed by SIGKILL."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import dataclasses
import signal
import sys
from pathlib import Path
from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.package_build import run_make, run_script
# (whoever runs the tests in the background has it ignored)
signal.signal(signal.SIGINT, signal.default_int_handler)
nothing = {field.name: "" for field in dataclasses.fields(DkmsConf)}
conf = DkmsConf(**{**nothing, "make": "make -f slow.mk", "pre_build": "slow.sh"})
place = Path(sys.argv[1])
if sys.argv[2] == "MAKE":
    run_make(conf, place, place / "make.log", release="6.1", jobs=2, compiler="")
else:
    run_script(conf, "pre_build", place, place / "make.log", {})
"""
SLOW = "#!/bin/sh\nsleep 60 &\necho $$ $! > began.new; mv began.new began; wait; echo over > over\n"


def is_running(number: int) -> bool:
    """Whether there is a process of this number that has not ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comes(path: Path) -> bool:
    """Whether a file with something in it comes within some seconds."""
    until = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    return path.exists() and path.stat().st_size > 0


@pytest.mark.parametrize("what", ["MAKE", "PRE_BUILD"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_commands_end_with_the_process_that_runs_them(what: str, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "slow.sh").write_text(SLOW)
    (tmp_path / "slow.sh").chmod(0o755)
    (tmp_path / "slow.mk").write_text("all:\n\t@echo $$PPID > maker; ./slow.sh && echo more > more\n")
    with subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path, what], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert comes(tmp_path / "began")
        process.send_signal(number)
    numbers = [int(word) for word in (tmp_path / "began").read_text().split()]
    if what == "MAKE":
        numbers.append(int((tmp_path / "maker").read_text()))
    until = time.monotonic() + 20
    while any(map(is_running, numbers)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [each for each in numbers if is_running(each)] == []
    assert not (tmp_path / "more").exists()

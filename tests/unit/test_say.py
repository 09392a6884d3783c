# SPDX-License-Identifier: GPL-2.0-only
"""Lines of several threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Two threads that print as often as they can, each its own word.
_PROGRAM = """
import sys, threading
from kbuildpy.say import {name}
sys.setswitchinterval(1e-6)
texts = ["a" * 40, "b" * 40]
threads = [threading.Thread(target=lambda text=text: [{name}(text) for _ in range(3000)]) for text in texts]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("name", ["say", "complain"])
def test_lines_of_two_threads_stay_whole(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(name=name)], check=True, capture_output=True, text=True
    )
    lines = (done.stdout if name == "say" else done.stderr).splitlines()
    assert len(lines) == 6000
    assert set(lines) == {"a" * 40, "b" * 40}

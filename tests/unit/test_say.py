# SPDX-License-Identifier: GPL-2.0-only
"""Lines of several threads."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("utf-8:strict", b"caf\xc3\xa9 \\udcff\n"), ("ascii:strict", b"caf\\xe9 \\udcff\n")],
)
def test_what_a_stream_has_no_bytes_for_is_printed_as_an_escape(encoding: str, printed: bytes) -> None:
    program = "from kbuildpy.say import say; say(b'caf\\xc3\\xa9 \\xff'.decode('utf-8', 'surrogateescape'))"
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, env=environ)
    assert (done.stdout, done.stderr) == (printed, b"")

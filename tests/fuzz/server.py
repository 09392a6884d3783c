# SPDX-License-Identifier: GPL-2.0-only
"""Runs commands of kbuildpy for `tests.fuzz.commands`: each in a process forked from this one, which has the modules
loaded already, and watches their time and memory.

It reads a line of JSON for each command (`argv`, `cwd`, `seconds`, `environ`) and answers with one (`status`,
`seconds`, `memory` in bytes, `out`, `error`). `status` is the exit status; -1 for a command that took longer than
`seconds` and was killed, and less for one that a signal ended. An exception that leaves main() is status 70.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from typing import Any

import SCons.Script  # noqa: F401 - so that no child has to

from kbuildpy.cli import main

_UNEXPECTED = 70
_ENOUGH = 8 << 30
"""Bytes of address space: one that wants more is ended before it takes the machine down."""


def serve() -> None:
    """Answer until standard input ends."""
    gc.freeze()  # (else each child copies most of the memory when it looks for garbage)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        json.dump(one(json.loads(line)), answers)
        answers.write("\n")
        answers.flush()


def one(call: dict[str, Any]) -> dict[str, Any]:
    """Run one command to its end, or to the end of its time."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        began, (told, tell) = time.monotonic(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            _run(call, tell, out.fileno(), error.fileno())
        os.close(tell)
        # (a pipe ends when the command and all that it has started are gone)
        ready, _, _ = select.select([told], [], [], call["seconds"])
        memory = os.read(told, 100) if ready else b""
        seconds = time.monotonic() - began
        if not ready:
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(told)
        answer: dict[str, Any] = {"status": os.waitstatus_to_exitcode(status) if ready else -1, "seconds": seconds}
        answer["memory"] = int(memory or 0)
        for name, file in (("out", out), ("error", error)):
            file.seek(0)
            answer[name] = file.read(1 << 20).decode(errors="replace")
    return answer


def _run(call: dict[str, Any], tell: int, out: int, error: int) -> None:
    """The command itself; never returns."""
    status = _UNEXPECTED
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(error, 2)
        # (a test may have put something else in their place; as the interpreter opens them)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace")
        os.set_inheritable(tell, False)
        resource.setrlimit(resource.RLIMIT_AS, (_ENOUGH, _ENOUGH))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(call["cwd"])
        os.environ.update(call["environ"])
        begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            status = main(call["argv"])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(tell, b"%d" % ((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin) * 1024))
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()

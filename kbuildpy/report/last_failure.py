# SPDX-License-Identifier: GPL-2.0-only
"""Notes of the last commands that failed: what was called, what was wrong, and where.

Only a failing command writes one, into a folder of the user's cache that only the user can read. A note is redacted
before it is written. It has no output of the command: for that, `kbuildpy report -- COMMAND` runs it again. The
variable KBUILDPY_FAILURES=0 switches the notes off.
"""

from __future__ import annotations

import json
import os
import shlex
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.report.private import private_facts
from kbuildpy.report.redact import Redactor

_KEPT = 5
_SWITCH = "KBUILDPY_FAILURES"
_LONGEST = 20_000
"""Characters of a message that are kept: a compiler's may be endless."""


@dataclass(frozen=True)
class Failure:
    """What is noted of a command that failed."""

    command: str
    """The call as a shell's words."""
    status: int
    """The exit status."""
    message: str
    """The error, or the traceback; "" where the command itself printed what was wrong."""
    hint: str
    version: str
    """kbuildpy's."""
    when: str
    """UTC."""


def note_failure(
    words: Sequence[str], status: int, *, message: str = "", hint: str = "", defect: Exception | None = None
) -> None:
    """Keep a note of the command `words`, with the traceback of a `defect`. That it cannot be written is no error."""
    if os.environ.get(_SWITCH) == "0":
        return
    if defect is not None:
        message = "".join(traceback.format_exception(defect))[-_LONGEST:]
    redactor = Redactor(private_facts(folders={str(Path.cwd()): "directory"}))
    failure = Failure(
        redactor.redact(shlex.join(("kbuildpy", *words))),
        status,
        redactor.redact(message[:_LONGEST]),
        redactor.redact(hint),
        __version__,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    with suppress(OSError, KbuildError, UnicodeError):
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{time.time_ns()}.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            json.dump(asdict(failure), file)
        for old in sorted(folder.glob("*.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)


def last_failures() -> list[Failure]:
    """The failures that were noted, the last one first."""
    found = []
    with suppress(OSError, KbuildError):
        for path in sorted(_folder().glob("*.json"), reverse=True):
            with suppress(OSError, ValueError, TypeError):
                found.append(Failure(**json.loads(path.read_text())))
    return found


def _folder() -> Path:
    return cache_directory() / "failures"

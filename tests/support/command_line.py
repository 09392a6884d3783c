# SPDX-License-Identifier: GPL-2.0-only
"""Calls a command of kbuildpy in this process, which takes a fraction of the time that starting Python takes."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from kbuildpy.cli import main


@dataclass(frozen=True)
class Called:
    """How a call ended: its exit status, and the texts of standard output and standard error."""

    returncode: int
    text: str
    error_text: str


def call(*words: str | Path, cwd: Path, **variables: str) -> Called:
    """Call `kbuildpy WORDS` in the directory `cwd`, with these variables added to the environment.

    An exception that the command line does not expect is raised, where a process would print a traceback. What
    concerns the start of a process, its signals or its terminal needs a process of its own.
    """
    out, errors = _stream("strict"), _stream("backslashreplace")
    before = Path.cwd()
    os.chdir(cwd)
    try:
        with mock.patch.dict(os.environ, variables), redirect_stdout(out), redirect_stderr(errors):
            status = _status([str(word) for word in words])
    finally:
        os.chdir(before)
    return Called(status, _text(out), _text(errors))


def _status(words: list[str]) -> int:
    """The exit status of `main()`, however it ends (argparse ends it with an exception)."""
    try:
        return main(words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


def _stream(errors: str) -> io.TextIOWrapper:
    """A stream with the errors handler that Python's own of the kind has."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8", "surrogateescape")

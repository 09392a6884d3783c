# SPDX-License-Identifier: GPL-2.0-only
"""Writes the files of a trace, each in the form that the end of its name says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.files import replacing
from kbuildpy.timeline.build_trace import BuildTrace
from kbuildpy.timeline.chrome import as_chrome
from kbuildpy.timeline.page import as_page
from kbuildpy.timeline.picture import as_picture

FORMS: dict[str, Callable[[BuildTrace], str]] = {".json": as_chrome, ".html": as_page, ".svg": as_picture}
"""By the end of a file's name."""


def check_files(files: Iterable[Path]) -> None:
    """Raise `UsageError` for a name that says no form, and for a place where nothing can be written."""
    for file in files:
        if file.suffix not in FORMS:
            raise UsageError(
                f"{file.name}: the name of a trace ends in {', '.join(FORMS)}",
                hint=".json is for Perfetto and chrome://tracing, .html and .svg for a browser",
            )
        if not file.parent.is_dir():
            raise UsageError(f"{file.parent}: no such directory", hint="make it first, or name another file")
        if file.exists() and not file.is_file():
            raise UsageError(f"{file}: not a regular file")
        try:
            with replacing(file):
                pass
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror or error}", hint="name a file elsewhere") from error


def remove_files(files: Iterable[Path]) -> None:
    """Remove what an earlier build wrote, so that it is not taken for this one's if this one is killed. Raises
    `OSError`."""
    for file in files:
        file.unlink(missing_ok=True)


def write_files(trace: BuildTrace, files: Sequence[Path]) -> None:
    """Write `trace` into `files`, each whole or not at all. Raises `OSError`."""
    for file in files:
        with replacing(file) as slot:
            slot.write(FORMS[file.suffix](trace).encode("utf-8", "replace"), durable=False)

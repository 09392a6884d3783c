# SPDX-License-Identifier: GPL-2.0-only
"""Writes a script for a debugger into a file that an option named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing


def write_script(script: Path, lines: Sequence[str], *, option: str) -> None:
    """Write `lines` into the file `script`, which `option` named: whole or not at all. Raises `KbuildError`."""
    try:
        with replacing(script) as replacement:
            replacement.write("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    except OSError as error:
        raise KbuildError(f"{option} {script}: {error.strerror}", hint="name a file that you can write") from error

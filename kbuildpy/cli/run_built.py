# SPDX-License-Identifier: GPL-2.0-only
"""Modules that `kbuildpy run` builds before it runs them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.cli.standard_error import on_standard_error
from kbuildpy.errors import KbuildError
from kbuildpy.scons.standalone import build_directory


def build_modules(directory: Path, kernels: Sequence[str], *, quiet: bool, coverage: bool = False) -> list[Path]:
    """Build `directory` for `kernels` (words of -k), and return its modules. Raises `KbuildError` where that fails."""
    built: list[dict[str, object]] = []
    here = Path.cwd()
    try:
        with on_standard_error():
            status = build_directory(
                directory,
                kernels=kernels,
                out=None,
                jobs=os.cpu_count() or 1,
                variables={},
                options=["-s"] if quiet else [],
                allow_empty=False,
                results=built,
                coverage=coverage,
            )
    finally:
        # (SCons works in the directory)
        os.chdir(here)
    modules = [Path(os.path.relpath(str(item["file"]))) for item in built if item["file"]]
    if status or not modules:
        raise KbuildError(f"{directory}: not built, so that there is nothing to run")
    return modules

# SPDX-License-Identifier: GPL-2.0-only
"""What clangd says of a source, by the `compile_commands.json` that it finds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run

# `E[time] [code] Line 3: message` for a source, `E[time] message` for the database and the command.
_ERROR = re.compile(r"^E\[[^]]*\] (.*)$", re.MULTILINE)


def clangd_errors(source: Path) -> list[str]:
    """What clangd reports as errors in `source`; it must have found a command for it in a database."""
    if not shutil.which("clangd"):
        pytest.skip("clangd is not installed")
    # (of one line it also tries what an editor offers: completion, tweaks)
    done = run(["clangd", f"--check={source}", "--check-lines=1-1"], check=False, timeout=120)
    said = done.error_text
    assert "Compile command from CDB is" in said, said[-2000:]
    assert "All checks completed" in said, said[-2000:]
    found = [line for line in _ERROR.findall(said) if not line.startswith("IncludeCleaner")]
    assert bool(found) == (done.returncode != 0), said[-2000:]
    return found

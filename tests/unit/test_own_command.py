# SPDX-License-Identifier: GPL-2.0-only
"""kbuildpy starts itself."""

from __future__ import annotations

from pathlib import Path

from kbuildpy import __version__
from kbuildpy.own_command import own_command
from kbuildpy.run import run


def test_runs_no_file_of_the_working_directory(tmp_path: Path) -> None:
    for name in ("argparse.py", "json.py", "kbuildpy.py"):
        (tmp_path / name).write_text('raise SystemExit("planted")\n')
    assert run(own_command("--version"), cwd=tmp_path).text.split()[-1] == __version__

# SPDX-License-Identifier: GPL-2.0-only
"""`env.CompilationDatabase()` holds commands that see in a source what Kbuild's compiler sees there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.run import run
from tests.support.builds import make
from tests.support.kernel_trees import newest_tree_first, tree_of_release
from tests.support.preprocessed import without_markers
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

SCONSTRUCT = f"{HEAD}env.Tool('compilation_db')\nenv.CompilationDatabase()\nenv.Kbuild('drv')\n"


def preprocessed(entry: dict[str, Any]) -> list[str]:
    """The source of an entry after the preprocessor, without lines that name files."""
    words = shlex.split(entry["command"])
    where = words.index("-o")
    done = run([*words[:where], *words[where + 2 :], "-E"], cwd=entry["directory"])
    return without_markers(done.text)


@pytest.mark.parametrize("release", newest_tree_first())
def test_the_compilation_database_sees_what_make_sees(release: str, tmp_path: Path) -> None:
    tree = tree_of_release(release)
    project = SConsProject(tmp_path / "project", tree.objects, PAIR | {"SConstruct": SCONSTRUCT})
    project.scons("compile_commands.json", "KCFLAGS=-DGIVEN=1")
    entries = {
        Path(item["file"]).name: item for item in json.loads((project.place / "compile_commands.json").read_text())
    }
    assert sorted(entries) == ["pair_a.c", "pair_b.c", "user.c"]
    for item in entries.values():
        assert Path(item["directory"], item["file"]).is_file()
        assert "-DGIVEN=1" in shlex.split(item["command"])
    done = make(tree, project.place / "drv", ["KCFLAGS=-DGIVEN=1"], goal="user.i")
    assert done.returncode == 0, done.error_text
    assert preprocessed(entries["user.c"]) == without_markers((project.place / "drv/user.i").read_text())

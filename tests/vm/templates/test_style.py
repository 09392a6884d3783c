"""What reviewers of kernel code look at: checkpatch.pl, which is in the kernel's sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.scaffold.create import create_directory
from kbuildpy.scaffold.render import render_project
from tests.parity.packages import REVIEWERS_FILES, source_files
from tests.vm.kernels import NEWEST, swept
from tests.vm.templates.projects import DEFAULT, FLIPPED, project_of, templates

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module", params=["6.12", *swept("6.1", NEWEST)])
def checkpatch(request: pytest.FixtureRequest) -> Path:
    return source_files(request.param, *REVIEWERS_FILES) / "scripts/checkpatch.pl"


@pytest.mark.parametrize("variant", [DEFAULT, FLIPPED])
@pytest.mark.parametrize("template", sorted(templates()))
def test_checkpatch_finds_nothing(template: str, variant: str, checkpatch: Path, tmp_path: Path) -> None:
    place = tmp_path / "project"
    create_directory(place, render_project(project_of(templates()[template], variant)))
    sources = sorted(path for path in place.rglob("*") if path.suffix in (".c", ".h", ".S"))
    assert sources
    # (run there it reads .checkpatch.conf, as its owner's will)
    done = run(["perl", checkpatch, "-f", *(path.relative_to(place) for path in sources)], cwd=place, check=False)
    assert "lines checked" in done.text
    assert re.findall(r"^(?:ERROR|WARNING): .*\n.*", done.text, re.MULTILINE) == []


def test_checkpatch_would_find_something(checkpatch: Path, tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("// SPDX-License-Identifier: GPL-2.0-only\nint x ( void ) {\n  return 1 ;\n}\n")
    assert "ERROR: " in run(["perl", checkpatch, "--no-tree", "-f", "x.c"], cwd=tmp_path, check=False).text

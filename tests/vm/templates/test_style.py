# SPDX-License-Identifier: GPL-2.0-only
"""What reviewers of kernel code look at: checkpatch.pl, which is in the kernel's sources."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.scaffold.create import create_directory
from kbuildpy.scaffold.render import render_project
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST, REVIEWERS_FILES, source_files
from tests.vm.templates.projects import DEFAULT, FLIPPED, project_of, templates

pytestmark = pytest.mark.parity

Reviewed = Callable[[str], dict[str, str]]

FILE = re.compile(r"^-+\n(.+)\n-+\n", re.MULTILINE)
"""The title of what is said of a file, when checkpatch.pl is given several."""


@pytest.fixture(scope="module", params=["6.12", *swept("6.1", NEWEST)])
def line(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def checkpatch(line: str) -> Path:
    return source_files(line, *REVIEWERS_FILES) / "scripts/checkpatch.pl"


@pytest.fixture(scope="module")
def reviewed(checkpatch: Path, line: str, tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    """What is said of each source file of all projects in a variant, by its path (PROJECT/FILE). One call for
    each configuration: half of the time of a call goes by before the first line is read."""

    version = tuple(map(int, line.split(".")))

    @cache
    def review(variant: str) -> dict[str, str]:
        place = tmp_path_factory.mktemp(variant)
        files: dict[str, bytes] = {}
        # (what all share is looked at once in each configuration, of which templates for new kernels have another)
        once: dict[str, dict[bytes, str]] = {}
        for name, template in templates().items():
            create_directory(place / name, render_project(project_of(template, variant, version)))
            configured = once.setdefault((place / name / ".checkpatch.conf").read_text(), {})
            for path in sorted((place / name).rglob("*")):
                if path.suffix in (".c", ".h", ".S", ".rs"):
                    file = str(path.relative_to(place))
                    files[file] = path.read_bytes()
                    configured.setdefault(files[file], file)
        said: dict[str, str] = {}
        for configuration, chosen in once.items():
            # (from its working directory checkpatch.pl reads this, as its owner's will)
            (place / ".checkpatch.conf").write_text(configuration)
            done = run(["perl", checkpatch, "-f", *chosen.values()], cwd=place, check=False)
            parts = FILE.split(done.text)
            said.update(zip(parts[1::2], parts[2::2], strict=True))
        first = {contents: file for chosen in once.values() for contents, file in chosen.items()}
        return {file: said[first[contents]] for file, contents in files.items()}

    return review


@pytest.mark.parametrize("variant", [DEFAULT, *swept(FLIPPED)])
@pytest.mark.parametrize("template", sorted(templates()))
def test_checkpatch_finds_nothing(template: str, variant: str, reviewed: Reviewed) -> None:
    said = {file: text for file, text in reviewed(variant).items() if file.startswith(f"{template}/")}
    assert said
    for file, text in said.items():
        assert "lines checked" in text, file
        assert re.findall(r"^(?:ERROR|WARNING): .*\n.*", text, re.MULTILINE) == []


def test_checkpatch_would_find_something(checkpatch: Path, tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("// SPDX-License-Identifier: GPL-2.0-only\nint x ( void ) {\n  return 1 ;\n}\n")
    assert "ERROR: " in run(["perl", checkpatch, "--no-tree", "-f", "x.c"], cwd=tmp_path, check=False).text

# SPDX-License-Identifier: GPL-2.0-only
"""Every template has a mistake at hand for each of its tests; the sweep sees them fail (test_every_template.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.scaffold.create import create_directory
from kbuildpy.scaffold.render import render_project
from tests.vm.templates.projects import BROKEN, EVERY, break_project, project_of, templates

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("template", EVERY)
def test_there_is_a_mistake_for_each_test(template: str, tmp_path: Path) -> None:
    project = project_of(templates()[template], BROKEN, (6, 12))
    create_directory(tmp_path / "project", render_project(project))
    break_project(project, tmp_path / "project")
    found = {file for mutation in project.template.mutations for file in mutation.fails}
    assert {project.named(file) for file in found} >= set(project.tests)

# SPDX-License-Identifier: GPL-2.0-only
"""The test of every template fails when its module has a mistake: each has one at hand in every run, and the sweep sees
them fail, on Linux 6.12."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.scaffold.create import create_directory
from kbuildpy.scaffold.render import render_project
from tests.vm.templates.claims import EVERY, built, ran, test_its_test_fails_when_the_module_is_broken
from tests.vm.templates.projects import BROKEN, break_project, project_of, templates

LINE = "6.12"
pytestmark = pytest.mark.parity
__all__ = ["built", "ran", "test_its_test_fails_when_the_module_is_broken"]


@pytest.mark.parametrize("template", EVERY)
def test_there_is_a_mistake_for_each_test(template: str, tmp_path: Path) -> None:
    project = project_of(templates()[template], BROKEN, (6, 12))
    create_directory(tmp_path / "project", render_project(project))
    break_project(project, tmp_path / "project")
    found = {file for mutation in project.template.mutations for file in mutation.fails}
    assert {project.named(file) for file in found} >= set(project.tests)

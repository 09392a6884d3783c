# SPDX-License-Identifier: GPL-2.0-only
"""Templates that are for arm64 alone, in every run; the others are tried there in the sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.guest_kernels import tree_called
from tests.support.kernel_trees import swept
from tests.vm.templates.projects import (
    BROKEN,
    DEFAULT,
    FLIPPED,
    build_by_make,
    build_together,
    project_of,
    run_together,
    templates,
)

pytestmark = [pytest.mark.parity, pytest.mark.vm]

NAMES = [name for name, template in templates().items() if "x86_64" not in template.architectures]


@pytest.mark.parametrize("variant", swept(DEFAULT, FLIPPED))
@pytest.mark.parametrize("template", NAMES)
def test_is_built_as_make_does_and_passes_its_own_test(template: str, variant: str, tmp_path: Path) -> None:
    tree = tree_called("arm64")
    project = project_of(templates()[template], variant, tree.version)
    together = build_together(tree, tmp_path.resolve() / "projects", variant, chosen=[project])
    assert together.remarks_on(project) == []
    assert together.files_of(project, together.ours) == together.files_of(project, build_by_make(together)) != {}
    results = run_together(together)
    for test in project.tests:
        result = results[Path(test).name]
        assert result["passed"] and not result["skipped"], (result["reason"], result["output"])
    assert all(results[module.name]["complaints"] == [] for module in project.modules)


@pytest.mark.sweep
@pytest.mark.parametrize("template", NAMES)
def test_its_test_fails_when_the_module_is_broken(template: str, tmp_path: Path) -> None:
    tree = tree_called("arm64")
    project = project_of(templates()[template], BROKEN, tree.version)
    together = build_together(tree, tmp_path.resolve() / "projects", BROKEN, chosen=[project])
    results = run_together(together)
    assert project.tests and not any(results[Path(test).name]["passed"] for test in project.tests)

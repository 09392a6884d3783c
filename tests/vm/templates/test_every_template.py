# SPDX-License-Identifier: GPL-2.0-only
"""Every template on every line of kernels: its project builds, make builds the same, its tests pass, and fail when they
must. Every run does it all for the default options on 6.1; the sweep the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import Build
from tests.support.guest_kernels import tree_called
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST
from tests.vm.templates.projects import (
    BROKEN,
    DEFAULT,
    EVERY,
    FLIPPED,
    Together,
    build_by_make,
    build_together,
    run_together,
)

pytestmark = [pytest.mark.parity, pytest.mark.vm]

LINES = ["6.1", "6.12", *swept("arm64", NEWEST)]


def _in_every_run(*chosen: tuple[str, str]) -> pytest.MarkDecorator:
    """Parametrizes a test with every line and variant; all but `chosen` are in the sweep."""
    cases = [
        pytest.param(line, variant, marks=[] if (line, variant) in chosen else [pytest.mark.sweep])
        for line in ("6.1", "6.12", "arm64", NEWEST)
        for variant in (DEFAULT, FLIPPED)
    ]
    return pytest.mark.parametrize(("line", "variant"), cases, indirect=["line"], scope="module")


Built = Callable[[str], Together]
Oracle = Callable[[str], Build]
Ran = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module", params=LINES)
def line(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def built(line: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds all projects in a variant, once."""

    @cache
    def build(variant: str) -> Together:
        place = tmp_path_factory.mktemp(variant).resolve() / "projects"
        return build_together(tree_called(line), place, variant)

    return build


@pytest.fixture(scope="module")
def oracle(built: Built) -> Oracle:
    """Builds all projects in a variant by make, once."""

    @cache
    def build(variant: str) -> Build:
        return build_by_make(built(variant))

    return build


@pytest.fixture(scope="module")
def ran(built: Built) -> Ran:
    """Runs all tests of a variant in the kernel, once."""

    @cache
    def run(variant: str) -> dict[str, Any]:
        return run_together(built(variant))

    return run


def _project(together: Together, template: str) -> Any:
    if template not in together.projects:
        pytest.skip("not for this kernel, or without options to flip")
    return together.projects[template]


@_in_every_run(("6.1", DEFAULT))
@pytest.mark.parametrize("template", EVERY)
def test_builds_without_a_warning(template: str, variant: str, built: Built) -> None:
    together = built(variant)
    project = _project(together, template)
    assert together.remarks_on(project) == []
    made = together.files_of(project, together.ours)
    # (each build ends with the loader check, and a module that is refused is removed)
    for module in project.modules:
        assert f"{project.name}/{module.name}.ko" in made


@_in_every_run(("6.1", DEFAULT))
@pytest.mark.parametrize("template", EVERY)
def test_plain_make_makes_the_same_bytes(template: str, variant: str, built: Built, oracle: Oracle) -> None:
    together = built(variant)
    project = _project(together, template)
    theirs = together.files_of(project, oracle(variant))
    ours = together.files_of(project, together.ours)
    assert sorted(theirs) == sorted(ours)
    assert [name for name in theirs if name.endswith(".ko")]
    assert [name for name in theirs if theirs[name] != ours[name]] == []


@_in_every_run(("6.1", DEFAULT))
@pytest.mark.parametrize("template", EVERY)
def test_passes_its_own_test_in_the_kernel(template: str, variant: str, built: Built, ran: Ran) -> None:
    project = _project(built(variant), template)
    results = ran(variant)
    for test in project.tests:
        result = results[Path(test).name]
        assert result["passed"] and not result["skipped"], (result["reason"], result["output"])
    for module in project.modules:
        result = results[module.name]
        assert result["loaded"] and result["removed"], result["reason"]
        assert result["complaints"] == []


@pytest.mark.sweep
@pytest.mark.parametrize("line", ["6.12", NEWEST], indirect=True)
@pytest.mark.parametrize("template", EVERY)
def test_its_test_fails_when_the_module_is_broken(template: str, built: Built, ran: Ran) -> None:
    project = _project(built(BROKEN), template)
    results = ran(BROKEN)
    for test in project.tests:
        result = results[Path(test).name]
        assert not result["passed"], f"{test} passes with a module that is broken"
        # (by what it found out itself, not for want of the module)
        assert any(point["result"] == "not ok" for point in result["points"]), result["reason"]

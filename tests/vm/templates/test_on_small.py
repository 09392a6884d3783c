# SPDX-License-Identifier: GPL-2.0-only
"""Templates that need what Debian's kernels lack (KUnit, the GPIO simulator), on small kernels that have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_kernels import kunit_kernel
from tests.vm.templates.projects import (
    BROKEN,
    DEFAULT,
    FLIPPED,
    Together,
    build_together,
    project_of,
    run_together,
    templates,
)

pytestmark = [pytest.mark.vm, pytest.mark.sweep]

NAMES = ("gpio", "kunit")


def built(line: str, variant: str, place: Path) -> Together:
    tree = kunit_kernel(line)
    chosen = [project_of(templates()[name], variant, tree.version) for name in NAMES]
    return build_together(tree, place.resolve() / "projects", variant, chosen=chosen)


@pytest.mark.parametrize("variant", [DEFAULT, FLIPPED])
@pytest.mark.parametrize("line", ["6.1", "6.12"])
def test_their_tests_and_suites_pass(line: str, variant: str, tmp_path: Path) -> None:
    results = run_together(built(line, variant, tmp_path))
    for name in ("t_gpio_test.c", "t_kunit.sh"):
        assert results[name]["passed"] and not results[name]["skipped"], results[name]
    suite = results["t_kunit (kunit)"]
    assert suite["passed"] and suite["points"]
    assert results["t_kunit_test"]["removed"] and results["t_kunit_test"]["complaints"] == []


@pytest.mark.parametrize("line", ["6.1", "6.12"])
def test_their_tests_and_suites_fail_when_the_module_is_broken(line: str, tmp_path: Path) -> None:
    results = run_together(built(line, BROKEN, tmp_path))
    for name in ("t_gpio_test.c", "t_kunit.sh", "t_kunit (kunit)"):
        assert not results[name]["passed"], results[name]

# SPDX-License-Identifier: GPL-2.0-only
"""Debian's other flavours of kernels for x86-64: make's bytes, and size and taints as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from tests.support.builds import assert_equal, build_both
from tests.support.fetched_kernels import flavour_tree
from tests.support.guest_kernels import boots_x86_64, image_of
from tests.support.loading import in_dependency_order
from tests.support.packages import asking
from tests.support.samples import SAMPLES, built_samples
from tests.vm.loaded import load_all, predicted

pytestmark = [pytest.mark.vm, pytest.mark.sweep, boots_x86_64]


@pytest.fixture(scope="module", params=[f"{line} {flavour}" for line in ("6.1", "6.12") for flavour in ("cloud", "rt")])
def tree(request: pytest.FixtureRequest) -> KernelTree:
    """The tree of a flavour of an installed kernel, fetched."""
    line, flavour = request.param.split()
    return flavour_tree(line, flavour)


def test_all_samples_are_the_same_bytes_as_makes(tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = build_both(tree, SAMPLES, tmp_path / "samples")
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) >= 7


def test_samples_are_loaded_with_the_size_and_the_taints_that_the_check_says(
    tree: KernelTree, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image = image_of(tree)
    kernel = kernel_from_tree(tree, asking(tree), image=image)
    built = in_dependency_order(built_samples(tree, tmp_path_factory))
    modules = [(module_name(path.name), path.read_bytes()) for path in built]
    shown = load_all(image, modules, timeout=300)
    for seen, verdict in zip(shown, predicted(kernel, modules, shown), strict=True):
        assert (seen.status, seen.size, seen.taints) == (0, verdict.size, verdict.module_taints), seen.name

# SPDX-License-Identifier: GPL-2.0-only
"""What the small kernels are built for: modules are built against them and loaded in them, with KUnit's tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbuildpy.kernel.find_image import image_of_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.in_tree import fetch_kernel_modules
from tests.support.bad_modules import build
from tests.support.builds import assert_equal, build_both, kbuildpy
from tests.support.guest_kernels import boots_x86_64
from tests.support.loading import Load, load_modules
from tests.support.samples import SAMPLES
from tests.support.small_kernels import kunit_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    boots_x86_64,
]

LARGEST = 300 * 1000**2
"""What a tree may take of the disk, in bytes."""

# One case that holds, and one that does not.
SUITE = """#include <kunit/test.h>
#include <linux/module.h>
static void agrees(struct kunit *test) { KUNIT_EXPECT_EQ(test, 2 + 3, 5); }
static void disagrees(struct kunit *test) { KUNIT_EXPECT_EQ(test, 2 + 3, 6); }
static struct kunit_case cases[] = { KUNIT_CASE(agrees), KUNIT_CASE(disagrees), {} };
static struct kunit_suite suite = { .name = "adding", .test_cases = cases };
kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("test");
"""


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def tree(request: pytest.FixtureRequest) -> KernelTree:
    """The tree of the small kernel of a line."""
    return kunit_kernel(request.param)


def assert_passes(module: Path, tree: KernelTree) -> None:
    """`kbuildpy run` loads and removes `module`, and has nothing to complain of."""
    done = kbuildpy("run", module, "-k", tree.objects, "--format", "json")
    assert done.returncode == 0, done.error_text
    (result,) = map(json.loads, done.text.splitlines())
    assert (result["kernel"], result["passed"], result["complaints"]) == (tree.release, True, [])


def test_it_takes_little_of_the_disk(tree: KernelTree) -> None:
    files = (path.lstat() for path in tree.objects.rglob("*"))
    assert sum(file.st_blocks * 512 for file in files) < LARGEST


def test_make_and_kbuildpy_build_the_same_against_it(tree: KernelTree, tmp_path: Path) -> None:
    for oracle, ours in build_both(tree, SAMPLES / "hello", tmp_path / "hello"):
        assert_equal(oracle, ours)


def test_a_module_built_against_it_is_loaded_and_removed(tree: KernelTree, tmp_path: Path) -> None:
    done = kbuildpy("build", SAMPLES / "hello", "-k", tree.objects, "-o", tmp_path)
    assert done.returncode == 0, done.error_text
    assert_passes(tmp_path / tree.release / "hello.ko", tree)


def test_a_module_of_its_own_is_loaded_and_removed(tree: KernelTree) -> None:
    assert_passes(fetch_kernel_modules(tree.release).files()["gpio_sim"], tree)


def test_a_suite_of_kunit_prints_its_results_when_it_is_loaded(tree: KernelTree, tmp_path: Path) -> None:
    module = build(tree, tmp_path / "adding", {"adding": SUITE})["adding"]
    (report,) = load_modules(image_of_tree(tree), [Load(module)]).modules
    assert report.insmod.status == 0, report.insmod.message
    assert report.rmmod and report.rmmod.status == 0
    log = [line.strip() for line in report.insmod.log]
    results = [line for line in log if line.startswith(("KTAP ", "1..", "ok ", "not ok ", "# Subtest"))]
    case = ["KTAP version 1", "# Subtest: adding", "1..2", "ok 1 agrees", "not ok 2 disagrees", "not ok 1 adding"]
    assert [line for line in results if line in case][-len(case) :] == case

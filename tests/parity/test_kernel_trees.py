# SPDX-License-Identifier: GPL-2.0-only
"""What kernel trees say, compared with what Kbuild makes of them: every tree that is installed here.

Only evaluations and builds with `M=` are run: without it, the top Makefile would regenerate the tree's configuration.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.find import installed_tree, installed_trees
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.open_tree import open_tree, source_of
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.top_makefile import ENVIRONMENT, evaluate

LINKED = [found.parents[2] for found in Path("/lib/modules").glob("*/build/include/config/auto.conf")]
TREES = [tree for tree in installed_trees().trees if is_native(architecture_of(tree))]

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not LINKED, reason="no kernel headers are installed"),
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]
each_tree = pytest.mark.parametrize("tree", TREES, ids=[tree.release for tree in TREES])


def test_every_linked_tree_is_found_and_one_is_for_this_machine() -> None:
    assert {link.resolve() for link in LINKED} <= {tree.objects for tree in installed_trees().trees}
    assert TREES


@each_tree
def test_the_release_is_the_one_in_the_vermagic_of_a_module(tree: KernelTree, tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := empty.o\n")
    (tmp_path / "empty.c").write_text('#include <linux/module.h>\nMODULE_LICENSE("GPL");\n')
    run(["make", "-C", tree.objects, f"M={tmp_path}", "modules"], env=ENVIRONMENT, timeout=120)
    vermagic = next(
        entry
        for entry in (tmp_path / "empty.ko").read_bytes().split(b"\0")
        if entry.startswith(b"vermagic=") or entry.endswith(b"vermagic=")
    )
    words = vermagic.decode().partition("vermagic=")[2].split()
    assert words[0] == tree.release
    assert ("modversions" in words) == modversions_of(tree).enabled


@each_tree
def test_release_and_source_part_are_what_the_top_makefile_hands_down(tree: KernelTree, tmp_path: Path) -> None:
    assert evaluate(tree, tmp_path, "KERNELRELEASE", "abs_srctree") == [tree.release, str(tree.source)]


@each_tree
def test_the_architecture_is_kbuilds(tree: KernelTree, tmp_path: Path) -> None:
    architecture = architecture_of(tree)
    assert evaluate(tree, tmp_path, "ARCH", "SRCARCH") == [architecture.arch, architecture.srcarch]


@each_tree
def test_the_compiler_is_the_one_that_kbuild_runs(tree: KernelTree, tmp_path: Path) -> None:
    compiler = compiler_of(tree)
    program, built_with = evaluate(tree, tmp_path, "CC", "CONFIG_CC_VERSION_TEXT")
    assert program == compiler.program
    # Strings in auto.conf have quotes before 5.17 only.
    assert built_with.strip('"') == compiler.built_with


@each_tree
def test_the_signing_policy_and_btf_are_the_configurations(tree: KernelTree, tmp_path: Path) -> None:
    policy = signing_policy_of(tree)
    verifies, required, hash_name, btf = evaluate(
        tree,
        tmp_path,
        "CONFIG_MODULE_SIG",
        "CONFIG_MODULE_SIG_FORCE",
        "CONFIG_MODULE_SIG_HASH",
        "CONFIG_DEBUG_INFO_BTF_MODULES",
    )
    assert (verifies == "y", required == "y", btf == "y") == (policy.verifies, policy.required, btf_of(tree).wanted)
    assert hash_name.strip('"') == policy.hash


@each_tree
def test_an_installed_headers_package_is_complete(tree: KernelTree) -> None:
    assert missing_parts(tree) == ()


@each_tree
def test_the_loaders_build_link_leads_to_the_tree(tree: KernelTree) -> None:
    link = Path("/lib/modules") / tree.release / "build"
    if not link.exists():
        pytest.skip("the tree was installed without its link")
    assert open_tree(link) == tree
    assert installed_tree(tree.release) == tree


@each_tree
@pytest.mark.parametrize("inside", [False, True], ids=["beside the source", "in the source"])
def test_understands_the_makefile_that_make_o_writes(tree: KernelTree, inside: bool, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tree.source / "scripts", source / "scripts")
    shutil.copyfile(tree.source / "Makefile", source / "Makefile")
    (source / "arch").mkdir()
    shutil.copytree(
        tree.source / "arch" / architecture_of(tree).srcarch, source / "arch" / architecture_of(tree).srcarch
    )
    objects = source / "objects" if inside else tmp_path / "objects"
    objects.mkdir()
    run(["make", "-C", source, f"O={objects}", "outputmakefile"], env=ENVIRONMENT)
    named = source_of(objects)
    assert named is not None
    assert named.resolve() == source

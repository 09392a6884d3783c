# SPDX-License-Identifier: GPL-2.0-only
"""Builds on 5.10, whose headers only an older Debian has: the same bytes as make's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.parity.test_kbuild_language import (
    test_a_makefile_that_calls_kbuild_itself,
    test_a_trace_header_of_the_modules_own,
    test_assembly_with_exports_and_their_crcs,
    test_exports_with_namespaces_between_subdirectories,
    test_extra_symbols_from_another_directory,
    test_file_and_line_in_messages_are_makes,
    test_flags_from_the_command_line_and_the_old_names,
    test_flags_of_every_scope,
    test_modules_of_many_sources_are_linked_in_order,
    test_non_standard_objects_are_left_alone_by_objtool,
    test_nothing_to_build_is_an_error_and_leaves_what_make_does,
    test_objects_are_listed_in_every_way,
    test_objects_built_in_or_in_libraries_are_no_modules,
    test_objects_that_come_with_the_sources,
    test_sources_outside_of_the_module_directory,
    test_subdirectories_through_obj_y_and_obj_m,
)
from tests.parity.test_kbuild_rules import (
    test_a_header_made_by_a_host_program,
    test_objects_made_by_rules,
    test_rules_in_subdirectories_and_neighbours_of_the_directory,
    test_sources_made_by_rules_of_every_spelling,
)
from tests.parity.test_samples import SAMPLES
from tests.support.builds import assert_equal, build_both
from tests.support.packages import early_tree, kernel_source

__all__ = [
    "test_a_header_made_by_a_host_program",
    "test_a_makefile_that_calls_kbuild_itself",
    "test_a_trace_header_of_the_modules_own",
    "test_assembly_with_exports_and_their_crcs",
    "test_exports_with_namespaces_between_subdirectories",
    "test_extra_symbols_from_another_directory",
    "test_file_and_line_in_messages_are_makes",
    "test_flags_from_the_command_line_and_the_old_names",
    "test_flags_of_every_scope",
    "test_modules_of_many_sources_are_linked_in_order",
    "test_non_standard_objects_are_left_alone_by_objtool",
    "test_nothing_to_build_is_an_error_and_leaves_what_make_does",
    "test_objects_are_listed_in_every_way",
    "test_objects_built_in_or_in_libraries_are_no_modules",
    "test_objects_made_by_rules",
    "test_objects_that_come_with_the_sources",
    "test_rules_in_subdirectories_and_neighbours_of_the_directory",
    "test_sources_made_by_rules_of_every_spelling",
    "test_sources_outside_of_the_module_directory",
    "test_subdirectories_through_obj_y_and_obj_m",
]

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return early_tree()


def test_the_tree_is_found_below_another_root_and_complete(tree: KernelTree) -> None:
    root = next(parent.parent for parent in tree.objects.parents if parent.name == "usr")
    installed = installed_trees(root)
    assert installed.trees == (tree,)
    assert not installed.broken
    assert tree.version == (5, 10)
    assert missing_parts(tree) == ()


def test_a_missing_symvers_file_is_told_in_makes_words(tree: KernelTree, tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    shutil.copytree(tree.objects, objects, symlinks=True, ignore=shutil.ignore_patterns("Module.symvers"))
    for name in ("scripts", "tools"):
        (objects / name).unlink()
        (objects / name).symlink_to((tree.objects / name).resolve())
    [(oracle, ours)] = build_both(open_tree(objects), SAMPLES / "hello", tmp_path / "hello")
    assert_equal(oracle, ours)
    told = [line for line in oracle.output.splitlines() if "WARNING" in line or line.startswith("     ")]
    assert len(told) == 3
    assert [line for line in ours.output.splitlines() if line in told] == told


def test_all_samples_are_the_same_bytes_as_makes(tree: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = build_both(tree, SAMPLES, tmp_path / "samples")
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == len([path for path in SAMPLES.iterdir() if path.is_dir()])


@pytest.mark.sweep
@pytest.mark.parametrize(("copied", "below", "modules"), [("drivers/usb/serial", "", 52), ("net", "netfilter", 169)])
def test_an_in_tree_directory_is_the_same_bytes_as_makes(
    copied: str, below: str, modules: int, tree: KernelTree, tmp_path: Path
) -> None:
    source = kernel_source("5.10") / copied
    [(oracle, ours)] = build_both(tree, source, tmp_path / source.name, steps=[(below, ())])
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == modules

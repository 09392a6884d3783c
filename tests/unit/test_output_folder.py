# SPDX-License-Identifier: GPL-2.0-only
"""Where the output of kernel trees goes that share a release."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.kernel.output_folder import output_folder, output_folders
from kbuildpy.kernel.tree import KernelTree

RELEASE = "6.12.0-test"


def tree(path: str, release: str = RELEASE) -> KernelTree:
    return KernelTree(Path(path), Path("/source"), release)


def test_a_tree_that_is_alone_has_its_release(tmp_path: Path) -> None:
    assert output_folders(tmp_path, [tree("/a/kasan")]) == [tmp_path / RELEASE]


def test_trees_of_different_releases_have_their_releases(tmp_path: Path) -> None:
    trees = [tree("/a/build"), tree("/b/build", "6.1.9")]
    assert output_folders(tmp_path, trees) == [tmp_path / RELEASE, tmp_path / "6.1.9"]


def test_each_further_tree_of_a_release_has_a_folder_with_the_name_of_its_directory(tmp_path: Path) -> None:
    first, *others = output_folders(tmp_path, [tree("/a/plain"), tree("/a/kasan"), tree("/b/kasan")])
    assert first == tmp_path / RELEASE
    assert len({first, *others}) == 3
    assert all(folder.name.startswith(f"{RELEASE}@kasan-") for folder in others)


def test_a_name_that_no_command_could_take_is_written_in_plain_characters(tmp_path: Path) -> None:
    _, other = output_folders(tmp_path, [tree("/a"), tree("/b/$(id) é\n;")])
    assert other.parent == tmp_path
    assert other.name.startswith(f"{RELEASE}@__id_____-")


def test_a_tree_that_has_a_folder_of_its_own_keeps_it_in_every_order(tmp_path: Path) -> None:
    one, two = tree("/a/one"), tree("/a/two")
    places = output_folders(tmp_path, [one, two])
    places[1].mkdir()
    assert output_folders(tmp_path, [two]) == [places[1]]
    assert output_folders(tmp_path, [two, one]) == [places[1], places[0]]
    assert output_folder(tmp_path, one) == places[0]

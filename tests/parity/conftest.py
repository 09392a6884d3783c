# SPDX-License-Identifier: GPL-2.0-only
"""Projects that are built once and changed by many tests, and a disk that is soon full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.run import run
from tests.support.kernel_trees import private_tree, usual_tree
from tests.support.scons_project import ASKING, PAIR, SConsProject


@pytest.fixture(scope="session")
def built_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the project of two modules is, and where a copy of it stands as it was once it was built."""
    root = tmp_path_factory.mktemp("pair")
    project = SConsProject(root / "project", usual_tree().objects, PAIR)
    project.build()
    shutil.copytree(project.place, root / "built", symlinks=True)
    return project.place, root / "built"


@pytest.fixture
def pair(built_pair: tuple[Path, Path]) -> SConsProject:
    """The project of two modules, already built."""
    place, built = built_pair
    shutil.rmtree(place)
    shutil.copytree(built, place, symlinks=True)
    return SConsProject(place, usual_tree().objects, {})


@pytest.fixture(scope="session")
def built_private(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same for a kernel tree that may be edited; the tree is the folder `tree` beside the project."""
    root = tmp_path_factory.mktemp("private")
    kdir = private_tree(usual_tree(), root / "place/tree")
    SConsProject(root / "place/project", kdir, ASKING).build()
    shutil.copytree(root / "place", root / "built", symlinks=True)
    return root / "place", root / "built"


@pytest.fixture
def private(built_private: tuple[Path, Path]) -> SConsProject:
    """The project of two modules, built for a kernel tree of its own; edit that below `kdir` and `kdir.parent`."""
    place, built = built_private
    shutil.rmtree(place)
    shutil.copytree(built, place, symlinks=True)
    return SConsProject(place / "project", place / "tree/objects", {})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory that is a file system of its own, of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk])
    except CommandError as error:
        pytest.skip(f"mounting a small file system takes root: {error.stderr.strip()}")
    yield disk
    run(["umount", disk])

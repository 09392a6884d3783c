"""All kernels that are installed: trees, and kernels whose image is here without headers."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find import find_trees, installed_trees
from kbuildpy.kernel.image import find_kernel_image
from kbuildpy.kernel.own_modules import modules_directory
from kbuildpy.kernel.release import release_order
from kbuildpy.kernel.tree import KernelTree


def installed_kernels(root: Path = Path("/")) -> list[KernelTree | Path]:
    """Every tree that is installed below `root`, then the image of every installed kernel that has none.

    Raises `KbuildError` for a tree that cannot be used, and where there is nothing at all.
    """
    trees = installed_trees(root)
    releases = {tree.release for tree in trees.trees}
    names = {folder.name for top in ("lib/modules", "usr/lib/modules") for folder in root.glob(f"{top}/*")}
    images = [installed_image(release, root) for release in sorted(names - releases, key=release_order)]
    found: list[KernelTree | Path] = [*trees.trees, *(image for image in images if image)]
    if trees.broken or not found:
        # (says what is wrong with it, or that there is none)
        find_trees(["all"], root=root)
    return found


def installed_image(release: str, root: Path = Path("/")) -> Path | None:
    """The image of a kernel that is installed with its modules; None if there is none."""
    if modules_directory(release, root=root) is None:
        return None
    try:
        return find_kernel_image(release, root=root)
    except KbuildError:
        return None

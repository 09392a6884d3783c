# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that are installed with their modules and their image, with or without headers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.release import release_order


def installed_images(root: Path = Path("/"), *, besides: Collection[str] = ()) -> dict[str, Path]:
    """The image of every kernel that is installed below `root`, by release, from the oldest to the newest; without
    the releases `besides`."""
    names = {folder.name for top in ("lib/modules", "usr/lib/modules") for folder in root.glob(f"{top}/*")}
    images = {release: installed_image(release, root) for release in sorted(names - {*besides}, key=release_order)}
    return {release: image for release, image in images.items() if image is not None}


def installed_image(release: str, root: Path = Path("/")) -> Path | None:
    """The image of a kernel that is installed with its modules; None if there is none."""
    if modules_directory(release, root=root) is None:
        return None
    try:
        return find_kernel_image(release, root=root)
    except KbuildError:
        return None

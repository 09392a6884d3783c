# SPDX-License-Identifier: GPL-2.0-only
"""Removes kernels that were fetched, and what they shared with others as soon as no kernel needs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.fetch import NOTES, SCRATCH, alone
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.find_image import fetched_image
from kbuildpy.kernel.open_tree import source_of

_HEADERS = "linux-headers-"


def fetched_releases() -> list[str]:
    """The releases of which something was fetched, a broken tree too."""
    root = fetched_root()
    trees = {path.parents[1].name.removeprefix(_HEADERS) for path in root.glob(f"usr/src/{_HEADERS}*/include/config")}
    return sorted(trees | {path.name for path in root.glob("lib/modules/*")})


def remove_fetched(releases: Sequence[str]) -> None:
    """Remove headers, images and modules of `releases`, which are some of `fetched_releases`, also images and modules
    that were taken out of packages for a run in QEMU. Waits while another process fetches."""
    root = fetched_root()
    with alone(root):
        scratch = Path(mkdtemp(prefix=SCRATCH, dir=root))
        for release in releases:
            # (the headers first: without them it is no kernel)
            own = (root / "usr/src" / f"{_HEADERS}{release}", root / "lib/modules" / release)
            besides = (fetched_image(release), cache_directory() / "modules" / release)
            _move_away([*own, *(root / "boot").glob(f"*-{release}"), *besides], scratch)
        _move_away(list(_unneeded(root)), scratch)
        _forget_packages(root)
        shutil.rmtree(scratch)


def _move_away(paths: Sequence[Path], scratch: Path) -> None:
    for path in paths:
        if path.exists() or path.is_symlink():
            path.rename(scratch / f"{sum(1 for _ in scratch.iterdir())}-{path.name}")


def _unneeded(root: Path) -> Iterator[Path]:
    """Source parts and programs of Kbuild that no kernel uses which is there."""
    objects = [path.parents[1] for path in root.glob(f"usr/src/{_HEADERS}*/include/config")]
    sources = [source.resolve() for path in objects if (source := source_of(path)) is not None]
    used = {*(path.resolve() for path in objects), *sources}
    used |= {(part / "scripts").resolve().parent for part in [*objects, *sources]}
    for pattern in (f"usr/src/{_HEADERS}*", "usr/lib/linux-kbuild-*"):
        yield from (path for path in root.glob(pattern) if path.resolve() not in used)


def _forget_packages(root: Path) -> None:
    """Remove the notes of packages of which nothing is left."""
    for note in (root / NOTES).glob("*"):
        places = note.read_text().splitlines()[1:]
        if not any((root / place).exists() for place in places):
            note.unlink()

# SPDX-License-Identifier: GPL-2.0-only
"""Installed modules whose built files were replaced by another build of the package: until that is installed, and after
a rollback, they are in /lib/modules, and are the package's.

They are kept by name and digest, so that a file of somebody else is never one of them.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.files import replacing
from kbuildpy.kernel.module_files import walk_modules, without_suffix


def keep_replaced(places: DkmsPlaces, name: str, kernel: str, arch: str, modules: Path) -> None:
    """Keep what is in the folder `modules`, which is installed and will be replaced. Raises OSError."""
    path = places.replaced(name, kernel, arch)
    kept = _read(path) | {_line(Path(module)) for module in walk_modules(modules)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write("".join(f"{line}\n" for line in sorted(kept)).encode(), mode=0o644)


def replaced_files(places: DkmsPlaces, name: str, kernel: str, arch: str) -> list[str]:
    """The files below /lib/modules/RELEASE that were kept, and are there still. Raises OSError."""
    kept = _read(places.replaced(name, kernel, arch))
    names, root = {line.partition(" ")[2] for line in kept}, places.install_tree / kernel
    files = [Path(path) for path in walk_modules(root)] if kept else []
    return [str(path.relative_to(root)) for path in files if without_suffix(path.name) in names and _line(path) in kept]


def forget_replaced(places: DkmsPlaces, name: str, kernel: str, arch: str) -> None:
    """Forget what was kept, once no version of the package is built for the kernel."""
    if any(places.built(name, version, kernel, arch).is_dir() for _, version in places.added(name)):
        return
    path = places.replaced(name, kernel, arch)
    path.unlink(missing_ok=True)
    for parent in list(path.parents)[:3]:
        with suppress(OSError):
            parent.rmdir()


def _line(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {without_suffix(path.name)}"


def _read(path: Path) -> set[str]:
    try:
        return {*path.read_text().splitlines()}
    except OSError:
        return set()

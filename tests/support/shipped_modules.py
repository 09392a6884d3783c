# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a distribution ships, as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.errors import CommandError
from kbuildpy.kernel.tree import KernelTree
from tests.support.packages import unpacked


def shipped(tree: KernelTree) -> Iterator[tuple[str, Path]]:
    """The modules of a kernel's image package: name without suffix (`drivers/usb/serial/option`), and file."""
    installed = Path("/lib/modules", tree.release, "kernel")
    yield from in_folder(installed if installed.is_dir() else modules_of_package(tree.release))


def in_folder(root: Path) -> Iterator[tuple[str, Path]]:
    """The modules in a folder, by their names below it."""
    for path in sorted(root.rglob("*.ko*")):
        yield str(path.relative_to(root)).partition(".ko")[0], path


def modules_of_package(release: str) -> Path:
    """The folder of the modules in the package of kernel `release`, which is called by either of two names."""
    for package in (f"linux-modules-{release}", f"linux-image-{release}"):
        with suppress(CommandError):
            for folder in unpacked(package).glob(f"**/lib/modules/{release}/kernel"):
                return folder
    pytest.fail(f"no package of the modules of {release}")


def plain(path: Path, copy: Path) -> Path:
    """The uncompressed module: the file itself, or a copy."""
    if path.suffix == ".ko":
        return path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(decompress(path.read_bytes()))
    return copy

"""Debian packages by name: downloaded through the machine's own apt, unpacked into the user's cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run
from kbuildpy.vm.debian import extract


def unpacked(package: str) -> Path:
    """The directory that `package` is unpacked in; nothing is installed."""
    place = cache_directory() / "packages" / package
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        extract(package, Path(scratch, "root"))
        shutil.move(f"{scratch}/root", place)
    return place


def kernel_source(version: str) -> Path:
    """The sources of a kernel line (`6.1`), from Debian's linux-source package: drivers/usb/serial and net of them."""
    package = unpacked(f"linux-source-{version}")
    tree = package / f"linux-source-{version}"
    if not (tree / "net/bridge").is_dir():
        archive = package / f"usr/src/linux-source-{version}.tar.xz"
        with tempfile.TemporaryDirectory(dir=package) as scratch:
            names = [f"linux-source-{version}/{name}" for name in ("drivers/usb/serial", "net")]
            run(["tar", "-C", scratch, "-xf", archive, *names], timeout=600)
            shutil.rmtree(tree, ignore_errors=True)
            shutil.move(f"{scratch}/linux-source-{version}", tree)
    return tree

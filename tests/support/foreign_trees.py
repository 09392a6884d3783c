# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees for other machines to cross-build with: Debian's headers packages, unpacked side by side in the user's
cache.

The package for a machine has configuration and generated headers, `-common` the other headers and Kbuild's makefiles,
and linux-kbuild the programs: they run here, so they are this machine's. Installed, all of it would lie in /usr/src and
/usr/lib; the links between the three are relative, and one line of the object part's Makefile is not.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.debian import apt_options, extract
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import one_at_a_time

_DEPENDENCY = re.compile(r"\blinux-(?:headers|kbuild)-[\w.+-]+")
FOREIGN = {
    "i386": ("linux-headers-686-pae", "i686-linux-gnu-"),
    "armhf": ("linux-headers-armmp", "arm-linux-gnueabihf-"),
    "ppc64el": ("linux-headers-powerpc64le", "powerpc64le-linux-gnu-"),
    "s390x": ("linux-headers-s390x", "s390x-linux-gnu-"),
}
"""Debian's word for a machine, the package that brings in the headers of its kernels, and how its compiler is called.
Only a part of what loaders of these kernels do is known here."""


def foreign_tree(architecture: str) -> tuple[KernelTree, tuple[str, ...]]:
    """The tree for one of `FOREIGN`, and the variable that says make its compiler; skips the test where it cannot be
    used."""
    package, prefix = FOREIGN[architecture]
    words = (f"CROSS_COMPILE={prefix}",)
    return packaged_tree(package, architecture, cross_compile=prefix), words


def packaged_tree(package: str, architecture: str, *, cross_compile: str = "") -> KernelTree:
    """The tree that `package`, which has nothing but a dependency on the newest release, brings in for a machine;
    unpacked once. Skips the test where it cannot be used."""
    if os.uname().machine != "x86_64":
        pytest.skip(f"builds for {architecture} on x86-64")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    try:
        release = _depends(package, architecture)
    except KbuildError as error:
        pytest.skip(f"no {package} to be had: {error}")
    if not release:
        pytest.skip(f"this distribution has no {package}")
    tree = _unpacked_tree(release[0], architecture)
    compiler = compiler_of(tree, cross_compile=cross_compile)
    if not compiler.installed:
        pytest.skip(f"{compiler.package} is not installed")
    return tree


@functools.cache
@one_at_a_time
def _unpacked_tree(package: str, architecture: str) -> KernelTree:
    place = cache_directory() / "packages" / f"{package}-tree"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            root = Path(scratch, "root")
            extract(package, root, architecture=architecture)
            for part in _depends(package, architecture):
                extract(part, root)
            makefile = root / "usr/src" / package / "Makefile"
            makefile.write_text(makefile.read_text().replace("/usr/src/", f"{place}/usr/src/"))
            shutil.move(root, place)
    return open_tree(place / "usr/src" / package)


def _depends(package: str, architecture: str) -> list[str]:
    """The packages of headers and of Kbuild's programs that `package` for a machine needs; none if there is no such
    one."""
    argv = ["apt-cache", *apt_options(architecture), "show", "--no-all-versions", package]
    lines = run(argv, check=False).text.splitlines()
    return [word for line in lines if line.startswith("Depends: ") for word in _DEPENDENCY.findall(line)]

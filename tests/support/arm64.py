# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees for arm64 to cross-build with: Debian's headers packages, unpacked side by side in the user's cache.

The package for arm64 has configuration and generated headers, `-common` the other headers and Kbuild's makefiles, and
linux-kbuild the programs: they run here, so they are this machine's. Installed, all of it would lie in /usr/src and
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

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.debian import apt_options, extract
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import one_at_a_time

CROSS_COMPILE = "aarch64-linux-gnu-"
# What is said to make, and to kbuildpy.
CROSS = ("ARCH=arm64", f"CROSS_COMPILE={CROSS_COMPILE}")

_DEPENDENCY = re.compile(r"\blinux-(?:headers|kbuild)-[\w.+-]+")

# The distribution's own kernel, and on Debian 12 the other line of kernels that it has. The packages have no content
# but a dependency on the newest release.
LINES = {"arm64": "linux-headers-arm64", "6.12-arm64": "linux-headers-6.12-arm64"}


def arm64_tree(line: str = "arm64") -> KernelTree:
    """The tree of one of `LINES`, unpacked once; skips the test where it cannot be used."""
    if os.uname().machine != "x86_64":
        pytest.skip("builds for arm64 on x86-64")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    release = _depends(LINES[line])
    if not release:
        pytest.skip(f"this distribution has no {LINES[line]}")
    tree = _unpacked_tree(release[0])
    compiler = compiler_of(tree)
    if not compiler.installed:
        pytest.skip(f"{compiler.package} is not installed")
    return tree


@functools.cache
@one_at_a_time
def _unpacked_tree(package: str) -> KernelTree:
    place = cache_directory() / "packages" / f"{package}-tree"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            root = Path(scratch, "root")
            extract(package, root, architecture="arm64")
            for part in _depends(package):
                extract(part, root)
            makefile = root / "usr/src" / package / "Makefile"
            makefile.write_text(makefile.read_text().replace("/usr/src/", f"{place}/usr/src/"))
            shutil.move(root, place)
    return open_tree(place / "usr/src" / package)


def _depends(package: str) -> list[str]:
    """The packages of headers and of Kbuild's programs that `package` for arm64 needs; none if there is no such one."""
    argv = ["apt-cache", *apt_options("arm64"), "show", "--no-all-versions", package]
    lines = run(argv, check=False).text.splitlines()
    return [word for line in lines if line.startswith("Depends: ") for word in _DEPENDENCY.findall(line)]

# SPDX-License-Identifier: GPL-2.0-only
"""The directory that a tool packs, and a directory that was unpacked again.

Modes and dates are set, not inherited: an umask and a clock are the builder's. Owners are left to the tools, which all
can write root's without being root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from kbuildpy.package.module_package import PackageFile


def write_tree(root: Path, files: Iterable[PackageFile], date: int) -> None:
    """Write `files` below the new directory `root`, all of the same `date`. Raises OSError."""
    root.mkdir(mode=0o755, parents=True)
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.contents)
        path.chmod(file.mode)
        os.utime(path, (date, date))
    for folder, _, _ in os.walk(root, topdown=False):
        Path(folder).chmod(0o755)
        os.utime(folder, (date, date))


def read_tree(root: Path) -> dict[str, bytes]:
    """The contents of all files below `root`, by path. What is neither a file nor a directory has no place in a
    package, and is given with empty contents. Raises OSError."""
    found = {}
    for folder, names, files in os.walk(root):
        for name in files + [name for name in names if (Path(folder) / name).is_symlink()]:
            path = Path(folder, name)
            is_regular = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(root))] = path.read_bytes() if is_regular else b""
    return found


def tool_environment(environ: Mapping[str, str], date: int, scratch: Path) -> dict[str, str]:
    """The environment for tools that make packages: the same for everybody but for PATH and TMPDIR, and without the
    user's settings, which they would read from the home directory."""
    path = ":".join(filter(None, (environ.get("PATH"), "/usr/sbin", "/sbin")))
    return {
        "PATH": path,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(date),
        # (xz compresses in blocks as soon as it has several threads)
        "DPKG_DEB_THREADS_MAX": "1",
    }

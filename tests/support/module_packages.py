# SPDX-License-Identifier: GPL-2.0-only
"""Packages of modules: made by `kbuildpy package`, and taken apart by the tools that systems have for that."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.command_line import Called, call

MAINTAINER = "A Tester <tester@example.org>"
DATE = 1_700_000_000
TOOLS = {
    "deb": ("dpkg-deb",),
    "tar": ("tar", "zstd"),
    "rpm": ("rpmbuild", "rpm2cpio", "cpio"),
    "sysext": ("mksquashfs", "unsquashfs"),
    "oci": ("tar",),
}
ROOTS = {"deb": "usr", "tar": "usr", "rpm": "usr", "sysext": "usr", "oci": "opt"}


@dataclass(frozen=True)
class Unpacked:
    """What a tool took out of a package."""

    files: dict[str, bytes]
    owners: set[str]
    """Of the files, as the tool lists them."""


def require_tools(format: str) -> None:
    """Skip the test where a tool of the format is not installed."""
    missing = [name for name in TOOLS[format] if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def package(format: str, *words: str | Path, tree: KernelTree, cwd: Path, **variables: str) -> Called:
    """Call `kbuildpy package FORMAT WORDS` for the kernel of `tree`."""
    given = {"SOURCE_DATE_EPOCH": str(DATE), **variables}
    named = ("--maintainer", MAINTAINER) if format == "deb" else ()
    return call("package", format, *words, *named, "-k", tree.objects, cwd=cwd, **given)


def made(done: Called) -> Path:
    """The package that a call with `--format json` made."""
    assert done.returncode == 0, done.error_text
    [line] = done.text.splitlines()
    return Path(json.loads(line)["file"])


def unpacked(format: str, file: Path, place: Path) -> Unpacked:
    """What is in a package, by the tool of the system that it is for, unpacked in the new directory `place`."""
    place.mkdir()
    if format == "deb":
        run(["dpkg-deb", "-x", file, place])
        owners = {line.split()[1] for line in run(["dpkg-deb", "-c", file]).text.splitlines()}
    elif format == "tar":
        run(["tar", "-C", place, "-xf", file])
        owners = {line.split()[1] for line in run(["tar", "-tvf", file]).text.splitlines()}
    elif format == "rpm":
        archive = run(["rpm2cpio", file]).stdout
        run(["cpio", "-idm", "--quiet", "--no-absolute-filenames"], cwd=place, input=archive)
        listed = run(["rpm", "-qp", "--nosignature", "--qf", "[%{FILEUSERNAME}/%{FILEGROUPNAME}\\n]", file])
        owners = set(listed.text.split())
    elif format == "sysext":
        run(["unsquashfs", "-quiet", "-no-progress", "-force", "-dest", place, file])
        listed = run(["unsquashfs", "-quiet", "-lln", file])
        owners = {line.split()[1] for line in listed.text.splitlines() if line[:1] in "-dl"}
    else:
        owners = _unpack_image(file, place)
    files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return Unpacked(files, owners)


def _unpack_image(file: Path, place: Path) -> set[str]:
    """Unpack the layers of an image in order, as the image specification has it, with tar."""
    layout = place.with_name(f"{place.name}-layout")
    layout.mkdir()
    run(["tar", "-C", layout, "-xf", file])
    [listed] = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((layout / "blobs" / listed["digest"].replace(":", "/")).read_text())
    owners = set()
    for layer in manifest["layers"]:
        blob = layout / "blobs" / layer["digest"].replace(":", "/")
        run(["tar", "-C", place, "-xf", blob])
        with tarfile.open(blob) as archive:
            owners |= {f"{member.uname}/{member.gname}" for member in archive}
    return owners

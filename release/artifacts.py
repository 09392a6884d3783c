# SPDX-License-Identifier: GPL-2.0-only
"""The files of a release: sdist, wheel, Debian source package. One commit gives the same bytes each time."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from kbuildpy.run import run
from release.changelog import debian_changelog
from release.git import commit_time, export
from release.version import for_debian, read_version

MAINTAINER = "The kbuildpy developers <kbuildpy@example.org>"
"""Who is named in the Debian package, until somebody who maintains it in Debian names themselves."""


def build(checkout: Path, commit: str, into: Path, *, debian: bool) -> list[Path]:
    """Build sdist and wheel of a commit, with `debian` also the Debian source package, into the directory `into`.

    What lies in the working tree plays no part. Raises `KbuildError` when a program fails.
    """
    with tempfile.TemporaryDirectory(prefix="kbuildpy-dist-") as place:
        tree = Path(place, "tree")
        export(checkout, commit, tree)
        time = commit_time(checkout, commit)
        made = build_python(tree, time, into)
        return [*made, *build_debian_source(tree, made[0], time, into)] if debian else made


def build_python(tree: Path, time: int, into: Path) -> list[Path]:
    """Build sdist and wheel (in this order) of a tree; `time` is what they say of when they were made."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-hatch-") as place:
        for target in ("sdist", "wheel"):
            # (each by itself: the wheel of a tree, not that of the sdist)
            run(
                [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", place],
                cwd=tree,
                env=_environment(time),
            )
        found = sorted(Path(place).iterdir(), key=lambda path: path.suffix == ".whl")
        return [Path(shutil.move(path, into / path.name)) for path in found]


def build_debian_source(tree: Path, sdist: Path, time: int, into: Path) -> list[Path]:
    """Build the Debian source package whose upstream sources are `sdist`; Debian's part is `release/debian` of `tree`.

    Needs dpkg-source (Debian: dpkg-dev).
    """
    version = for_debian(read_version(tree))
    with tempfile.TemporaryDirectory(prefix="kbuildpy-debian-") as place:
        source = Path(place, f"kbuildpy-{version}")
        original = Path(place, f"kbuildpy_{version}.orig.tar.gz")
        shutil.copy(sdist, original)
        source.mkdir()
        run(["tar", "-x", "--strip-components=1", "-f", original, "-C", source])
        shutil.copytree(tree / "release/debian", source / "debian")
        (source / "debian/changelog").write_text(debian_changelog(version, MAINTAINER, time))
        run(["dpkg-source", "-b", source.name], cwd=place, env=_environment(time))
        found = sorted(path for path in Path(place).iterdir() if path.is_file())
        return [Path(shutil.move(path, into / path.name)) for path in found]


def _environment(time: int) -> dict[str, str]:
    return {**os.environ, "SOURCE_DATE_EPOCH": str(time), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

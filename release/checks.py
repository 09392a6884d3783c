# SPDX-License-Identifier: GPL-2.0-only
"""What is checked of the files of a release before somebody gets them."""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from release.artifacts import build, build_python
from release.git import commit_time, export


def check(files: Sequence[Path], checkout: Path, commit: str) -> list[str]:
    """Check the `files` that were built of a commit; returns a line for each thing that was found right.

    Raises `KbuildError` for the first that is not.
    """
    sdist = _only(files, ".tar.gz", "orig")
    wheel = _only(files, ".whl")
    done = []
    with tempfile.TemporaryDirectory(prefix="kbuildpy-check-") as place:
        tree = Path(place, "tree")
        export(checkout, commit, tree)
        done.append(_has_every_file(wheel, tree))
        # (twine reads the descriptions as an index of packages would)
        _tool("twine", "check", "--strict", str(sdist), str(wheel))
        _tool("check_wheel_contents", *_WHEEL_OPTIONS, str(wheel))
        _tool("validate_pyproject", str(tree / "pyproject.toml"))
        done.append("twine, check-wheel-contents and validate-pyproject find no fault")
        unpacked = Path(place, "unpacked")
        unpacked.mkdir()
        run(["tar", "-x", "--strip-components=1", "-f", sdist, "-C", unpacked])
        _, again = build_python(unpacked, commit_time(checkout, commit), Path(place, "again"))
        if again.read_bytes() != wheel.read_bytes():
            raise KbuildError(f"{sdist.name}: builds another wheel than {wheel.name}", hint="diffoscope shows where")
        done.append("the sdist builds the same wheel")
        with_debian = any(path.suffix == ".dsc" for path in files)
        for path in build(checkout, commit, Path(place, "second"), debian=with_debian):
            if path.read_bytes() != (wheel.parent / path.name).read_bytes():
                raise KbuildError(f"{path.name}: built a second time, it has other bytes")
        done.append("built a second time, each file has the same bytes")
    return done


_WHEEL_OPTIONS = ("--toplevel", "kbuildpy,SCons", "--ignore", "W002")
"""SCons finds its tools in its own package: that is where the wheel puts one. And of files that are there twice (W002),
shells find one, and `kbuildpy completion` prints the other."""


def _has_every_file(wheel: Path, tree: Path) -> str:
    """Compare with the tree what must be in the wheel."""
    wanted = {path.relative_to(tree).as_posix() for path in _files(tree / "kbuildpy")}
    wanted |= {f"kbuildpy/{path.relative_to(tree).as_posix()}" for path in _files(tree / "templates")}
    wanted.add("SCons/Tool/kbuild.py")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    if missing := sorted(wanted - names):
        raise KbuildError(f"{wheel.name}: lacks {', '.join(missing[:5])}{' and more' if missing[5:] else ''}")
    manual = [name for name in names if "/data/share/man/man1/kbuildpy" in name]
    if not manual:
        raise KbuildError(f"{wheel.name}: has no manual page")
    return f"the wheel has all {len(wanted)} files of the program, and {len(manual)} manual pages"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _tool(module: str, *words: str) -> None:
    done = run([sys.executable, "-m", module, *words], env={**os.environ, "NO_COLOR": "1"}, check=False)
    if done.returncode:
        raise KbuildError(f"{module} {words[0]}: status {done.returncode}\n{done.text}{done.error_text}".rstrip())


def _only(files: Sequence[Path], suffix: str, but: str = "\0") -> Path:
    found = [
        path for path in files if path.name.endswith(suffix) and but not in path.name and "debian" not in path.name
    ]
    if len(found) != 1:
        raise KbuildError(f"{len(found)} files *{suffix}, where one was expected")
    return found[0]

# SPDX-License-Identifier: GPL-2.0-only
"""The files that `kbuildpy init` writes for existing modules."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.scaffold.existing import Existing, FoundBuild
from kbuildpy.scaffold.library import own_templates
from kbuildpy.scaffold.render import environment_for

_HEADING = "## Building with kbuildpy"


@dataclass(frozen=True)
class Change:
    """A file to be written: `kind` is `new`, `more` (lines are added to what is there) or `kept` (nothing is done)."""

    path: str
    kind: str
    contents: bytes = b""


def init_changes(existing: Existing, *, force: bool = False) -> list[Change]:
    """What `kbuildpy init` would write. Raises `KbuildError` for an SConstruct that is there, unless `force` replaces
    it."""
    directory = existing.directory
    if (directory / "SConstruct").exists() and not force:
        raise KbuildError(f"{directory / 'SConstruct'}: exists already", hint="--force replaces it")
    changes = [Change("SConstruct", "new", _rendered("SConstruct", existing))]
    if not existing.has_kbuild:
        if (directory / "Kbuild").exists():
            raise KbuildError(f"{directory / 'Kbuild'}: exists already, but names no modules", hint="set obj-m in it")
        changes.append(Change("Kbuild", "new", _rendered("Kbuild", existing)))
    kept = (directory / "dkms.conf").exists()
    changes.append(
        Change("dkms.conf", "kept") if kept else Change("dkms.conf", "new", _rendered("dkms.conf", existing))
    )
    changes.append(_added(directory, "README.md", _rendered("README.md", existing), marker=_HEADING, gap="\n"))
    changes.append(
        _added(directory, ".gitignore", b"/build/\n/build-coverage/\n/coverage/\n.sconsign*\n", marker="/build/")
    )
    return changes


def dkms_conf(existing: Existing) -> bytes:
    """The dkms.conf that `kbuildpy init` would write."""
    return _rendered("dkms.conf", existing)


def write_changes(directory: Path, changes: list[Change]) -> None:
    """Carry `changes` out: new files first, all or none of them. Raises OSError."""
    files = [NewFile(directory / change.path, change.contents) for change in changes if change.kind == "new"]
    # (only an SConstruct may be replaced, and was asked for)
    write_new(files, force=(directory / "SConstruct").exists())
    for change in changes:
        if change.kind == "more":
            with replacing(directory / change.path) as slot:
                slot.write(change.contents)


def _added(directory: Path, path: str, lines: bytes, *, marker: str, gap: str = "") -> Change:
    """`lines` put behind what the file `path` has, unless it has `marker`."""
    try:
        there = (directory / path).read_bytes()
    except FileNotFoundError:
        title = f"# {directory.resolve().name}\n\n".encode() if path == "README.md" else b""
        return Change(path, "new", title + lines)
    if marker.encode() in there:
        return Change(path, "kept")
    end = b"" if not there or there.endswith(b"\n") else b"\n"
    return Change(path, "more", there + end + gap.encode() + lines)


def _rendered(name: str, existing: Existing) -> bytes:
    environment = environment_for([own_templates() / "init"])
    environment.filters["project_path"] = lambda value: _python_path(str(value), existing.directory)
    environment.filters["dkms"] = lambda value: _dkms_path(str(value), existing.directory)
    template = environment.get_template(f"{name}.j2")
    modules = [(build, module) for build in existing.builds for module in build.modules]
    return template.render(
        existing=existing,
        builds=existing.builds,
        modules=[
            {
                "name": PurePosixPath(module.name).name,
                "place": os.path.normpath(PurePosixPath(build.below, module.name).parent),
            }
            for build, module in modules
        ],
        has_paths=any(_mentions(build, existing.directory) for build in existing.builds),
    ).encode(errors="surrogateescape")


def _mentions(build: FoundBuild, directory: Path) -> bool:
    return any(str(directory.resolve()) in value for _, value in build.variables)


def _python_path(value: str, directory: Path) -> str:
    """`value` as Python writes it, with the project's directory as `here`."""
    place = str(directory.resolve())
    if place not in value:
        return repr(value)
    parts = [repr(part) for part in value.split(place)]
    return " + here + ".join(parts).replace("'' + ", "").removesuffix(" + ''")


def _dkms_path(value: str, directory: Path) -> str:
    return value.replace(str(directory.resolve()), "$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build")

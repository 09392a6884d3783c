# SPDX-License-Identifier: GPL-2.0-only
"""Finds the build that a module file comes from: the output directory with the note of the build.

The file may be the built one, or a copy that was signed, compressed, installed: it must be the same module without its
signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.call_note import has_call
from kbuildpy.kernel.module_files import module_name, read_packed, unpacked, without_suffix
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.trailer import without_signatures

_SIGNED = "signed"
"""The folder that `env.SignModule()` writes to."""


@dataclass(frozen=True)
class ModuleOfBuild:
    """A module file, and where its build left the module."""

    file: Path
    """The file as it was named."""
    out: Path
    """The output directory of the build (physical)."""
    below: str
    """The path of the built module in it, without `.ko`."""
    sha256: str
    """Of the file."""
    unsigned_sha256: str
    """Of the module without its signature, not compressed."""
    modinfo: tuple[tuple[str, str], ...]
    """The fields of its `.modinfo`."""


def unsigned_module(path: Path) -> tuple[str, bytes]:
    """The SHA-256 of the file `path`, and the module in it: decompressed, without signatures. Raises `KbuildError`."""
    packed = read_packed(path)
    try:
        return hashlib.sha256(packed).hexdigest(), without_signatures(unpacked(packed, path))
    except Refused as refused:
        raise KbuildError(f"{path}: {refused.message}") from refused


def find_build(path: Path, out: Path | None = None) -> ModuleOfBuild:
    """The build of the module file `path`: in the directory `out` (an output directory, or one that holds some), else
    in the one that the file lies in.

    Raises `KbuildError` where there is none, and where the module that was built is another one.
    """
    sha256, unsigned = unsigned_module(path)
    others: list[Path] = []
    for place, below in _candidates(path, out):
        built = place / f"{below}.ko"
        if built.is_file():
            if without_signatures(built.read_bytes()) == unsigned:
                modinfo = ModuleImage(unsigned, str(path)).modinfo
                return ModuleOfBuild(path, place, below, sha256, hashlib.sha256(unsigned).hexdigest(), modinfo)
            others.append(built)
    if others:
        raise KbuildError(
            f"{path}: not the module that was built: {others[0]} has other bytes, also without signature",
            hint="was it stripped, or built again since? name the file as it was built",
        )
    where = f"below {out}" if out else "where it lies"
    raise KbuildError(
        f"{path}: no build of this module {where}",
        hint="name the output directory of its build: --build DIR; what an earlier kbuildpy built has no note of it: "
        "remove the .ko and build it again",
    )


def _candidates(path: Path, out: Path | None) -> Iterator[tuple[Path, str]]:
    """Output directories, and the path of the module in each."""
    real = path.resolve()
    if out is None:
        for place in real.parents:
            if has_call(place):
                below = without_suffix(str(real.relative_to(place)))
                folder, _, name = below.rpartition("/")
                if folder == _SIGNED or folder.endswith(f"/{_SIGNED}"):
                    yield place, f"{folder[: -len(_SIGNED)]}{name}"
                yield place, below
                return
        return
    top = out.resolve()
    for place in (top, *sorted(item for item in top.iterdir() if item.is_dir())) if top.is_dir() else ():
        if has_call(place):
            for built in sorted(place.rglob("*.ko")):
                inside = built.relative_to(place)
                hidden = {".kbuildpy", _SIGNED}.intersection(inside.parts)
                if module_name(built.name) == module_name(real.name) and not hidden:
                    yield place, without_suffix(str(inside))

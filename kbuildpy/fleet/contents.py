# SPDX-License-Identifier: GPL-2.0-only
"""The contents of the inputs of a cell, as a digest: they decide about its result, and are the same for each worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kbuildpy.kbuild.check_paths import has_kbuild_file
from kbuildpy.kbuild.sources import walk_sources
from kbuildpy.kernel.module_files import find_modules


def contents_of(inputs: Sequence[str]) -> str:
    """A digest of the contents of module directories, modules, and directories of modules. Raises `UsageError` for one
    that is not there."""
    return hashlib.sha256("".join(map(_contents, map(Path, inputs))).encode()).hexdigest()[:32]


def is_source(path: Path) -> bool:
    """Whether `path` is a module directory to build, and not a place of modules."""
    return path.is_dir() and (has_kbuild_file(path) or (path / "dkms.conf").is_file())


def _contents(path: Path) -> str:
    if not path.is_dir():
        return digest_of_files([path])
    if is_source(path):
        return digest_of_files(sorted(_source_files(path)), below=path)
    return digest_of_files(find_modules([path]), below=path)


def _source_files(path: Path) -> Iterator[Path]:
    for _, files in walk_sources(path):
        yield from map(Path, files)


def digest_of_files(files: Iterable[Path], *, below: Path | None = None) -> str:
    """A digest of the names and contents of `files`; one that cannot be read counts as empty."""
    found = hashlib.sha256()
    for file in files:
        name = str(file.relative_to(below)) if below else file.name
        try:
            content = file.read_bytes() if file.is_file() else b""
        except OSError:
            content = b""
        found.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        found.update(content)
    return found.hexdigest()

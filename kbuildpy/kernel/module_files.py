# SPDX-License-Identifier: GPL-2.0-only
"""Module files: how they are named, where they are below a directory, and reading one.

Counterpart: kmod, which takes `.ko`, plain or compressed (shared/util.c: kmod_exts).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from kbuildpy.compression import compression_of, decompress
from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.similar import no_such_path

MODULE_SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
"""How the names of module files end."""

_SUFFIX = re.compile(rf"(?:{'|'.join(map(re.escape, MODULE_SUFFIXES))})\Z")
_NAME_LENGTH = 64 - 8
_AGAIN = "the file is damaged: build, compress or copy it again"


def without_suffix(path: str) -> str:
    """The path of a module file without `.ko` and what compression adds to it."""
    return _SUFFIX.sub("", path)


def module_name(path: str) -> str:
    """What the kernel calls the module in the file (or of the name) `path`: KBUILD_MODNAME."""
    return without_suffix(path).rpartition("/")[2].replace("-", "_")


def is_module_name(name: str) -> bool:
    """Whether a module can be called `name`, so that it is one component of a path and one word: printable, without
    spaces and slashes, and short enough for `struct module` (include/linux/module.h: MODULE_NAME_LEN, on 64 bits)."""
    return (
        name.isprintable()
        and not {" ", "/"} & set(name)
        and name not in {"", ".", ".."}
        and len(name.encode()) < _NAME_LENGTH
    )


def walk_modules(
    directory: Path, *, suffixes: tuple[str, ...] = MODULE_SUFFIXES, without: Collection[str] = ()
) -> Iterator[str]:
    """The paths of all module files below `directory`, in a fixed order; none for a directory that is not there.

    Links to directories are not followed: `build` and `source` of an installed kernel lead into its headers.
    Directories called as one in `without` are passed over. Raises `OSError` for a directory that cannot be read: it is
    not one without modules.
    """
    for folder, names, files in os.walk(directory, onerror=_fail):
        names[:] = sorted(name for name in names if name not in without)
        for file in sorted(files):
            if file.endswith(suffixes):
                yield f"{folder}/{file}"


_OWN_FOLDERS = frozenset({".kbuildpy", ".dkms"})
"""Where a build may keep a copy of the sources, with modules that make built there."""


def find_modules(paths: Iterable[Path]) -> list[Path]:
    """The files that `paths` name, each once: a file as it is, of a directory all module files below it but those in a
    build's own notes (`.kbuildpy`) and in its copy of a package with a dkms.conf (`.dkms`).

    In the order of `paths`, those of a directory sorted. Pipes and devices, which might never end, are no files.
    Raises `UsageError` for a path that is one, or that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = map(Path, sorted(walk_modules(path, without=_OWN_FOLDERS)))
            found.update(dict.fromkeys(file for file in below if not _is_endless(file)))
        elif _is_endless(path):
            raise UsageError(f"{path}: neither a file nor a directory")
        elif path.exists():
            found[path] = None
        else:
            raise no_such_path(path)
    return list(found)


def no_modules_below(paths: Iterable[str | Path]) -> UsageError:
    """The error for directories without modules: where one has a Kbuild file, it says how modules get there."""
    named = list(map(Path, paths)) or [Path()]
    sources = next((path for path in named if any((path / name).is_file() for name in ("Kbuild", "Makefile"))), None)
    return UsageError(
        f"no modules below {', '.join(map(str, named))}",
        hint=f"build the modules first: kbuildpy build {shlex.quote(str(sources))}" if sources else "",
    )


def read_module(path: Path) -> bytes:
    """The module in the file `path`, decompressed. Raises `KbuildError` naming the file."""
    return unpacked(read_packed(path), path)


def read_packed(path: Path) -> bytes:
    """The bytes of the module file `path` as they are. Raises `KbuildError` naming the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        hint = (
            "give this user read permission, or run the command as another user"
            if isinstance(error, PermissionError)
            else ""
        )
        raise KbuildError(f"{path}: {error.strerror}", hint=hint) from error


def unpacked(contents: bytes, path: Path) -> bytes:
    """The module in the `contents` of the file `path`. Raises `KbuildError` naming the file."""
    try:
        return decompress(contents)
    except CommandError as error:  # (the program for it did not run: that says nothing of the file)
        raise KbuildError(f"{path}: {error.message}", hint=error.hint) from error
    except KbuildError as error:
        raise KbuildError(f"{path}: {error.message}", hint=error.hint or _AGAIN) from error


def packed_head(contents: bytes) -> bytes:
    """The beginning of the `contents` of a module file if they are compressed, else nothing; what a kernel that unpacks
    modules itself looks at first."""
    head = contents[:2048]
    return head if compression_of(head) else b""


def _is_endless(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
